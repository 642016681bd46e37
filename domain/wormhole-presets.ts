import type { EventMatch } from './subscription.ts';
import type { WormholeAction } from './wormhole.ts';

export type WormholePreset = {
  id: string;
  name: string;
  description: string;
  match: EventMatch;
  action: WormholeAction;
};

/** The wormholes of LEDGER 1.2, switched off: an admin looks at what they would do, then enables them. */
export const wormholePresets: readonly WormholePreset[] = [
  {
    id: 'whl_api_failure',
    name: 'api-failure',
    description: 'An API endpoint failed: propose that DeployKeeper looks into it',
    match: { types: ['api.endpoint.failed'], minSeverity: 'error', excludeSourceTypes: ['halo'] },
    action: {
      kind: 'create-task',
      task: {
        type: 'wormhole.suggested',
        title: 'API failure at {{source.type}}:{{source.id}}',
        target: '{{source.type}}:{{source.id}}',
        targetRole: 'DeployKeeper',
        risk: 'medium',
        payload: { eventId: '{{id}}', eventType: '{{type}}', reported: '{{payload}}' },
      },
    },
  },
  {
    id: 'whl_heartbeat_lost',
    name: 'heartbeat-lost',
    description: 'Something stopped giving signs of life: propose that DeployKeeper looks into it',
    match: {
      types: ['heartbeat.lost', 'os.heartbeat.lost', 'agent.heartbeat.lost'],
      minSeverity: 'warning',
      excludeSourceTypes: ['halo'],
    },
    action: {
      kind: 'create-task',
      task: {
        type: 'wormhole.suggested',
        title: 'Heartbeat lost of {{source.type}}:{{source.id}}',
        target: '{{source.type}}:{{source.id}}',
        targetRole: 'DeployKeeper',
        risk: 'medium',
        payload: { eventId: '{{id}}', eventType: '{{type}}', reported: '{{payload}}' },
      },
    },
  },
];
