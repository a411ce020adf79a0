/** What a run says: progress while it goes on, then one table, and a record for machines. */
import type { Machine } from './machine.ts'
import type { Histogram } from './stats.ts'

/** One line of the table. What a part does not measure is left out. */
export interface Row {
  part: string
  load: string
  /** What is counted, in the plural. */
  unit: string
  perSecond?: number
  latencyMs?: { p50: number; p99: number; max: number }
  /**
   * Cores kept busy. The generator's must stay below 1, or it was the generator that was measured.
   */
  serverCores?: number
  generatorCores?: number
  /** Server CPU for each of the unit. */
  serverUsEach?: number
  serverRssMiB?: number
  bytesPerConnection?: number
  /** The share of a core of ours that other processes had: above a few percent, measure again. */
  disturbed?: number
  /** Sentences on what the figures mean or lack. */
  notes?: string[]
  /** What went wrong; such figures count for nothing. */
  faults?: string[]
}

/** Past this share of a core in other hands, a figure says more about them than about us. */
const DISTURBED_MAX = 0.05

export interface RunRecord {
  command: string
  machine: Machine
  rows: Row[]
}

export function latencyOf(histogram: Histogram): { p50: number; p99: number; max: number } {
  const { maxMs } = histogram
  return { p50: histogram.percentileMs(0.5), p99: histogram.percentileMs(0.99), max: maxMs }
}

const COLUMNS: [title: string, cell: (row: Row) => string][] = [
  ['part', ({ part }) => part],
  ['load', ({ load }) => load],
  [
    'a second',
    ({ perSecond, unit }) => (perSecond === undefined ? '' : `${whole(perSecond)} ${unit}`),
  ],
  ['p50 ms', ({ latencyMs }) => fixed(latencyMs?.p50)],
  ['p99 ms', ({ latencyMs }) => fixed(latencyMs?.p99)],
  ['max ms', ({ latencyMs }) => fixed(latencyMs?.max)],
  ['server cores', ({ serverCores }) => fixed(serverCores)],
  ['µs each', ({ serverUsEach }) => fixed(serverUsEach)],
  ['generator cores', ({ generatorCores }) => fixed(generatorCores)],
  ['others', ({ disturbed }) => (disturbed === undefined ? '' : percent(disturbed))],
  ['server MiB', ({ serverRssMiB }) => fixed(serverRssMiB, 0)],
  [
    'checks',
    ({ faults }) => (faults === undefined ? '' : faults.length === 0 ? 'passed' : 'FAILED'),
  ],
]

/** Markdown, so that it can go into a document as it is. */
export function table(rows: readonly Row[]): string {
  const cells = [COLUMNS.map(([title]) => title)]
  cells.push(...rows.map((row) => COLUMNS.map(([, cell]) => cell(row))))
  const widths = COLUMNS.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)))
  const lines = cells.map((line) => {
    const padded = line.map((text, column) =>
      column < 2 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!),
    )
    return `| ${padded.join(' | ')} |`
  })
  const rule = widths.map((width, column) => '-'.repeat(width + 1) + (column < 2 ? '-' : ':'))
  lines.splice(1, 0, `|${rule.join('|')}|`)
  return lines.join('\n')
}

export function report({ command, machine, rows }: RunRecord): string {
  const head = [
    `\`${command}\``,
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${machine.kernel}; ` +
      `Bun ${machine.bun}; ${machine.date}`,
    `${machine.pinning}; fdatasync ${machine.fdatasyncMs.toFixed(2)} ms ` +
      `in ${machine.dataFolder}; ${machine.openFilesMax} open files a process`,
  ]
  const notes = rows.flatMap(({ part, notes = [], faults = [] }) => [
    ...notes.map((note) => `- ${part}: ${note}`),
    ...faults.map((fault) => `- ${part} FAILED: ${fault}`),
  ])
  const worst = Math.max(0, ...rows.map(({ disturbed = 0 }) => disturbed))
  if (worst > DISTURBED_MAX)
    notes.unshift(`- other processes had up to ${percent(worst)} of a core: measure again, alone`)
  return `${head.join('\n')}\n\n${table(rows)}\n\n${notes.join('\n')}\n`
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en')
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}

function fixed(value: number | undefined, digits = 2): string {
  return value === undefined ? '' : value.toFixed(digits)
}

/** On a terminal one line that is written over; elsewhere a line for each part. */
export class Progress {
  readonly #out = process.stderr
  #part = ''

  begin(part: string): void {
    this.#part = part
    if (!this.#out.isTTY) this.#out.write(`${part} …\n`)
  }

  say(text: string): void {
    if (this.#out.isTTY) this.#out.write(`\r\x1b[K${this.#part}: ${text}`)
  }

  end(): void {
    if (this.#out.isTTY) this.#out.write('\r\x1b[K')
  }
}
