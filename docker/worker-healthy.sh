#!/bin/sh
# Healthy is a worker that asked Temporal for work within the last two minutes.
exec node --input-type=module -e '
  import { hostname } from "node:os";
  import { Connection } from "@temporalio/client";
  import { loadClientConnectConfig } from "@temporalio/envconfig";

  const { connectionOptions, namespace = "default" } = loadClientConnectConfig();
  const connection = await Connection.connect(connectionOptions);
  const { pollers = [] } = await connection.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: "dreamnet" },
    taskQueueType: 1,
  });
  const since = Date.now() / 1000 - 120;
  const isMine = ({ identity, lastAccessTime }) =>
    identity.endsWith(`@${hostname()}`) && Number(lastAccessTime.seconds) > since;
  process.exit(pollers.some(isMine) ? 0 : 1);
'
