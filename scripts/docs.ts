/**
 * Writes the tables of the documentation from the source they describe, each between two markers
 * (`<!-- name -->` and `<!-- /name -->`). A test fails while a file differs from what this writes.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CLOSE } from '../src/api/close-codes.ts'
import { createOperations } from '../src/api/operations.ts'
import { requestSchemas } from '../src/api/schema.ts'
import { createServiceOperations, type Service } from '../src/api/service.ts'
import { defaultConfig, settings, variableName } from '../src/config.ts'
import { errorKinds, fieldReasons } from '../src/errors.ts'
import { createMetrics } from '../src/metrics.ts'

const ROOT = join(import.meta.dirname, '..')

/** Marker → the table that stands there, by file. */
const tables: Record<string, Record<string, () => string | Promise<string>>> = {
  'docs/operating.md': { settings: settingsTable, metrics: metricsTable },
  'docs/protocol.md': {
    operations: operationsTable,
    errors: errorsTable,
    'field-reasons': fieldReasonsTable,
    'close-codes': closeCodesTable,
  },
}

/** What each file should hold, by its path from the root. */
export async function renderedDocs(): Promise<Map<string, string>> {
  const rendered = new Map<string, string>()
  for (const [path, generated] of Object.entries(tables)) {
    let text = readFileSync(join(ROOT, path), 'utf8')
    for (const [marker, make] of Object.entries(generated))
      text = between(text, marker, await make(), path)
    rendered.set(path, text)
  }
  return rendered
}

function between(text: string, marker: string, content: string, path: string): string {
  const open = `<!-- ${marker} -->`
  const start = text.indexOf(open)
  const end = text.indexOf(`<!-- /${marker} -->`)
  if (start === -1 || end < start) throw new Error(`${path} has no place for ${marker}.`)
  return `${text.slice(0, start)}${open}\n${content}\n${text.slice(end)}`
}

function table(heads: string[], rows: string[][]): string {
  const line = (cells: string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n')
}

function settingsTable(): string {
  const rows = Object.entries(settings).map(([name, { default: value, about }]) => [
    `\`${variableName(name)}\``,
    shown(name, value),
    about,
  ])
  return table(['setting', 'default', 'what it is'], rows)
}

/** As one would type it, and large ones once more for people: `4194304` (4 MiB). */
function shown(name: string, value: string | number | readonly string[]): string {
  if (typeof value !== 'number') return value.length === 0 ? 'none' : `\`${value}\``
  const units = Object.entries(UNITS).find(([ending]) => name.includes(ending))?.[1] ?? []
  const unit = units.find(([, size]) => value >= size && value % size === 0)
  return unit === undefined ? `\`${value}\`` : `\`${value}\` (${value / unit[1]} ${unit[0]})`
}

const UNITS: Record<string, [name: string, size: number][]> = {
  Bytes: [
    ['MiB', 1 << 20],
    ['KiB', 1 << 10],
  ],
  Ms: [
    ['days', 86_400_000],
    ['s', 1_000],
  ],
}

async function metricsTable(): Promise<string> {
  const metrics = await createMetrics().registry.getMetricsAsJSON()
  const labels = createMetrics().registry
  const rows = metrics.map(({ name, type, help }) => {
    const { labelNames = [] } = labels.getSingleMetric(name) as { labelNames?: string[] }
    const told = labelNames.map((label) => `\`${label}\``).join(', ')
    return [`\`${name}\``, String(type), told, help]
  })
  return table(['metric', 'type', 'labels', 'what it counts'], rows)
}

function operationsTable(): string {
  const config = defaultConfig()
  // Only what describes the operations is read; nothing is called.
  const service = {} as Service
  const all = [...createOperations(requestSchemas(config)), ...createServiceOperations(service)]
  const rows = all.map((operation) => {
    const { method, path, auth, summary } = operation
    return [`\`${method} ${path}\``, auth ? 'yes' : '', summary]
  })
  return table(['operation', 'session', 'what it does'], rows)
}

function errorsTable(): string {
  const rows = errorKinds().map(({ code, status, title, hint = '' }) => [
    `\`${code}\``,
    String(status),
    `${title} ${hint}`.trim(),
  ])
  return table(['code', 'status', 'what it says'], rows)
}

function fieldReasonsTable(): string {
  const rows = Object.entries(fieldReasons).map(([reason, words]) => [`\`…_${reason}\``, words])
  return table(['the code ends in', 'the field …'], rows)
}

function closeCodesTable(): string {
  const rows = Object.values(CLOSE).map(([code, reason]) => [String(code), `\`${reason}\``])
  return table(
    ['code', 'reason'],
    rows.sort(([one = ''], [other = '']) => Number(one) - Number(other)),
  )
}

if (import.meta.main)
  for (const [path, text] of await renderedDocs()) writeFileSync(join(ROOT, path), text)
