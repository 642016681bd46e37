import { type ApiDocument, type Operation, operationsOf } from './document.ts';

/**
 * The reference page, made from the document on this side: no script, no style and nothing else from another host, so
 * it works where no other host can be reached.
 */
export function renderDocs(document: ApiDocument): string {
  const all = operationsOf(document);
  const tags = [...new Set(all.map(({ operation }) => operation.tags?.[0] ?? 'other'))];
  const sections = tags.map((tag) => {
    const items = all.filter(({ operation }) => (operation.tags?.[0] ?? 'other') === tag);
    const entries = items.map(({ method, path, operation }) => entry(method, path, operation)).join('');
    return `<h2 id="${escape(tag)}">${escape(tag)}</h2>${entries}`;
  });
  const links = tags.map((tag) => `<a href="#${escape(tag)}">${escape(tag)}</a>`).join(' ');
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>DreamNet API</title>
<meta name="viewport" content="width=device-width"><style>${style}</style></head><body>
<h1>DreamNet API</h1><p>${links}</p>
<p>Send a key as <code>Authorization: Bearer dn_...</code>. Errors are <code>application/problem+json</code> with a
stable <code>code</code>. The whole document: <a href="/openapi.json">/openapi.json</a>.</p>
${sections.join('')}<h2>Schemas</h2>${schemas(document)}</body></html>`;
}

const style = `body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1d2430}
code,pre{font:13px/1.45 ui-monospace,monospace}pre{background:#f4f5f7;padding:.75rem;overflow:auto}
details{border:1px solid #dde1e7;border-radius:6px;margin:.4rem 0;padding:.4rem .75rem}summary{cursor:pointer}
summary b{display:inline-block;min-width:3.5rem}summary small{color:#667}`;

function entry(method: string, path: string, operation: Operation): string {
  const parameters = (operation.parameters ?? []).map(
    (parameter) =>
      `<li><code>${escape(parameter.name)}</code> in ${escape(parameter.in)}${parameter.required ? ', required' : ''}: <code>${escape(JSON.stringify(parameter.schema ?? {}))}</code></li>`,
  );
  const answers = Object.entries(operation.responses)
    .filter(([status]) => status !== 'default')
    .map(([status, said]) => `<h4>${escape(status)}: ${escape(said.description ?? '')}</h4>${shape(said)}`);
  return `<details><summary><b>${method.toUpperCase()}</b> <code>${escape(path)}</code> ${escape(operation.summary ?? '')}
<small>${escape(operation['x-permission'] ?? '')}</small></summary>
${parameters.length === 0 ? '' : `<ul>${parameters.join('')}</ul>`}
${operation.requestBody === undefined ? '' : `<h4>Body</h4>${shape(operation.requestBody)}`}${answers.join('')}</details>`;
}

function shape(part: { content?: Record<string, { schema?: unknown }> }): string {
  const schema = Object.values(part.content ?? {})[0]?.schema;
  return schema === undefined ? '' : `<pre>${escape(JSON.stringify(schema, null, 2))}</pre>`;
}

function schemas(document: ApiDocument): string {
  const known = (document.components?.schemas ?? {}) as Record<string, unknown>;
  return Object.entries(known)
    .map(
      ([name, schema]) =>
        `<details><summary><code>${escape(name)}</code></summary><pre>${escape(JSON.stringify(schema, null, 2))}</pre></details>`,
    )
    .join('');
}

function escape(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text.replace(/[&<>"]/g, (character) => entities[character] ?? character);
}
