import type { Stage } from './stage.ts';

const files = [
  '  demo/agent.ts      a whole agent, to begin your own with',
  '  workflows/task.ts  the life of a task, from its proposal to its end',
];

/** What a person may do next. */
export function whatToLookAt({ stack, shop }: Stage, isKept: boolean): string {
  const { api, docs, temporalUi } = stack.urls;
  const lines = isKept
    ? [
        'Everything keeps running until Ctrl-C:',
        ...(temporalUi === null ? [] : [`  ${temporalUi}  every run: the links above open them`]),
        `  ${docs}  the API, to try out`,
        `  curl -H "Authorization: Bearer $(cat ${stack.keys.operator})" '${api}/v1/approvals?state=any'`,
        `  curl -X POST ${shop.url}/break  breaks the shop again`,
      ]
    : [
        'The links above opened runs of a stack that is stopped now. To look at them:',
        '  npm run demo -- --keep   the same, left running',
        '  npm start                a stack of your own',
      ];
  return ['', ...lines, ...files, ''].join('\n');
}
