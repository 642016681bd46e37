import {
  Client,
  Connection,
  type ConnectionOptions,
  defaultGrpcRetryOptions,
  makeGrpcRetryInterceptor,
} from '@temporalio/client';

export type TemporalConnection = { connection: Connection; client: Client };

/** Opens nothing yet: the API starts without Temporal, and each call finds out for itself. */
export function openTemporal(options: ConnectionOptions, namespace: string): TemporalConnection {
  const connection = Connection.lazy({
    ...options,
    // Calls have two seconds: short pauses between tries, and a lost server is looked for often.
    interceptors: [
      makeGrpcRetryInterceptor(
        defaultGrpcRetryOptions({ maxAttempts: 5, factor: 1.5, initialIntervalMs: () => 50 }),
      ),
    ],
    channelArgs: { 'grpc.initial_reconnect_backoff_ms': 200, 'grpc.max_reconnect_backoff_ms': 2_000 },
  });
  const client = new Client({ connection, namespace, workflow: { queryRejectCondition: 'NOT_OPEN' } });
  return { connection, client };
}
