/** `/docs`: the API as one page of plain HTML, made from the operations. It loads nothing. */
import { hash } from 'node:crypto'
import { errorKinds, fieldReasons } from '../errors.ts'
import { CLOSE } from './close-codes.ts'
import { jsonSchema } from './openapi.ts'
import type { Operation } from './operation.ts'
import type { SocketOperations } from './operations.ts'
import { POLICY } from './respond.ts'

export function docsPage(
  operations: readonly Operation[],
  socketOperations: SocketOperations,
): { html: string; policy: string } {
  const body = [
    '<h1>Parley</h1>',
    '<p>Chat over HTTP, Server-Sent Events and WebSocket. For programs: ',
    '<a href="/openapi.json">OpenAPI 3.1</a>, <a href="/asyncapi.json">AsyncAPI 3</a>.</p>',
    contents(operations),
    '<h2 id="http">HTTP</h2>',
    ...operations.map(operationSection),
    '<h2 id="websocket">WebSocket</h2><p>Connect to <code>/ws</code>. Text frames, one JSON ',
    'object each: <code>{"id":1,"op":"…",…}</code>. Replies carry the id as <code>re</code>.</p>',
    ...Object.values(socketOperations).map(frameSection),
    '<h3>Close codes</h3>',
    table(
      ['code', 'reason'],
      Object.values(CLOSE).map(([code, reason]) => [String(code), reason]),
    ),
    '<h2 id="errors">Errors</h2><p>Every error is <code>application/problem+json</code> with a ',
    'stable <code>code</code>.</p>',
    errorTable(),
    '<h3 id="error-fields">Faults of one field</h3>',
    `<p>The code is the field’s name and one of: ${Object.keys(fieldReasons)
      .map((reason) => `<code>_${reason}</code>`)
      .join(', ')}. Status 400.</p>`,
  ].join('\n')
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Parley: the API</title><style>${STYLE}</style></head>
<body><main>${body}</main></body></html>
`
  const styleHash = hash('sha256', STYLE, 'base64')
  return { html, policy: `${POLICY}; style-src 'sha256-${styleHash}'` }
}

function contents(operations: readonly Operation[]): string {
  const rows = operations.map(
    ({ name, method, path, summary }) =>
      `<tr><td><code>${method}</code></td><td><a href="#${name}"><code>${path}</code></a></td>` +
      `<td>${escapeHtml(summary)}</td></tr>`,
  )
  return `<table><tbody>${rows.join('\n')}</tbody></table>`
}

function operationSection(operation: Operation): string {
  const { name, method, path, summary, auth, query, body, errors } = operation
  return [
    `<section id="${name}"><h3><code>${method} ${path}</code></h3>`,
    `<p>${escapeHtml(summary)}${auth ? '' : ' Needs no session.'}</p>`,
    query ? fields('Query', jsonSchema(query, 'output')) : '',
    body ? fields('Body', jsonSchema(body, 'input')) : '',
    `<p>Answers ${answersOf(operation)}.${errorLinks(errors)}</p></section>`,
  ].join('\n')
}

function answersOf(operation: Operation): string {
  if (operation.kind === 'socket') return '101 (WebSocket)'
  if (operation.kind === 'subscribe')
    return '101 (WebSocket), 200 (Server-Sent Events), 202 (NDJSON)'
  return Object.keys(operation.replies).join(', ')
}

function frameSection({ op, summary, frame, reply, errors }: Frame): string {
  return [
    `<section id="op-${op}"><h3><code>${op}</code></h3><p>${escapeHtml(summary)}</p>`,
    fields('Fields', jsonSchema(frame, 'input')),
    fields('Reply, in <code>ok</code>', jsonSchema(reply, 'output')),
    `<p>${errorLinks(errors)}</p></section>`,
  ].join('\n')
}

type Frame = SocketOperations[keyof SocketOperations]

function errorLinks(codes: readonly string[]): string {
  if (codes.length === 0) return ''
  return ` Errors of its own: ${codes
    .map((code) => `<a href="#error-${code}"><code>${code}</code></a>`)
    .join(', ')}.`
}

interface FieldSchema {
  type?: string
  $ref?: string
  description?: string
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  pattern?: string
}

function fields(title: string, schema: Record<string, unknown>): string {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, FieldSchema>)
  if (properties.length === 0) return ''
  const required = (schema.required ?? []) as string[]
  const rows = properties.map(([name, field]) => [
    `${name}${required.includes(name) ? '' : '?'}`,
    field.type ?? field.$ref?.split('/').at(-1) ?? 'any',
    [field.description, boundsOf(field)].filter((part) => part).join(' '),
  ])
  return `<h4>${title}</h4>${table(['field', 'type', ''], rows)}`
}

function boundsOf({ minLength, maxLength }: FieldSchema): string {
  return maxLength === undefined ? '' : `${minLength ?? 0}–${maxLength} characters.`
}

function errorTable(): string {
  const rows = errorKinds().map(
    ({ code, status, title, hint = '' }) =>
      `<tr id="error-${code}"><td><code>${code}</code></td><td>${status}</td>` +
      `<td>${escapeHtml(title)} ${escapeHtml(hint)}</td></tr>`,
  )
  return `<table><thead><tr><th>code</th><th>status</th><th></th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table>`
}

function table(heads: string[], rows: string[][]): string {
  const head = heads.map((one) => `<th>${one}</th>`).join('')
  const body = rows.map(
    (row) => `<tr>${row.map((one) => `<td>${escapeHtml(one)}</td>`).join('')}</tr>`,
  )
  return `<table><thead><tr>${head}</tr></thead><tbody>${body.join('\n')}</tbody></table>`
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}

const STYLE = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent) }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif }
main { max-width: 56rem; margin: 0 auto; padding: 2rem 1rem 6rem }
h1, h2, h3 { line-height: 1.2; text-wrap: balance }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem }
h3 { margin: 2rem 0 .3rem } h4 { margin: .8rem 0 .2rem; font-size: .85rem; opacity: .75 }
code { font: .9em ui-monospace, monospace }
table { border-collapse: collapse; width: 100%; font-size: .93rem }
td, th { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0;
  border-bottom: 1px solid var(--line) }
:target { background: color-mix(in srgb, Highlight 22%, transparent) }
a { color: LinkText }
`
