/** What is not chat: page, health, metrics, documents. Open to anyone who reaches the port. */
import { z } from 'zod'
import { problem } from '../errors.ts'
import { type Operation, type Reply, request } from './operation.ts'
import { createPageOperations, type PageServer } from './page.ts'

/** `degraded`: requests are served, but other nodes' news comes late. */
export type Readiness = 'ready' | 'degraded'

export interface Service {
  readonly page: PageServer
  /**
   * Resolves if the store answers and nobody is stopping us; else rejects with the reason, as a
   * `Problem`.
   */
  checkReady(): Promise<Readiness>
  /** In Prometheus' text format. */
  metrics(): Promise<string>
  openapi(): string
  asyncapi(): string
  docsPage(): { html: string; policy: string }
}

export function createServiceOperations(service: Service): Operation[] {
  const open = (
    name: string,
    path: string,
    summary: string,
    handle: () => Promise<Reply> | Reply,
  ) =>
    request({
      name,
      summary,
      method: 'GET',
      path,
      auth: false,
      replies: { 200: z.unknown() },
      errors: name === 'isReady' ? ['not_ready', 'restarting'] : [],
      handle,
    })
  return [
    ...createPageOperations(service.page),
    open('isAlive', '/healthz', 'Whether the process answers.', () => json('{"status":"alive"}')),
    open(
      'isReady',
      '/readyz',
      'Whether requests are served; on a full disk they are, though posts are refused.',
      async () => json(`{"status":"${await service.checkReady()}"}`),
    ),
    open('readMetrics', '/metrics', 'Figures for Prometheus.', async () =>
      typed('text/plain; version=0.0.4; charset=utf-8', await service.metrics()),
    ),
    open('readOpenApi', '/openapi.json', 'This API, as OpenAPI 3.1.', () =>
      json(service.openapi()),
    ),
    open('readAsyncApi', '/asyncapi.json', 'The WebSocket, as AsyncAPI 3.', () =>
      json(service.asyncapi()),
    ),
    open('readDocs', '/docs', 'This API, as a page.', () => {
      const { html, policy } = service.docsPage()
      const page = typed('text/html; charset=utf-8', html)
      return { ...page, headers: { ...page.headers, 'Content-Security-Policy': policy } }
    }),
  ]
}

function json(body: string): Reply {
  return { status: 200, body }
}

function typed(type: string, body: string): Reply {
  return { status: 200, body, headers: { 'Content-Type': type } }
}

/** For `Service.checkReady`, when the store says no. */
export function notReady(cause: unknown) {
  return problem('not_ready', { retryAfterS: 2, cause })
}
