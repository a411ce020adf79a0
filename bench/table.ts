/** What a terminal shows of a run: one table, then the goals and what has to be said. */
import type { Measured, RunRecord } from './record.ts'
import { DISTURBED_MAX } from './report/words.ts'

const COLUMNS: [title: string, cell: (row: Measured) => string][] = [
  ['scenario', ({ scenario }) => scenario],
  [
    'subject',
    ({ subject, version }) => (version === undefined ? subject : `${subject} ${version}`),
  ],
  ['load', ({ load }) => load],
  ['offered', ({ offeredPerSecond }) => whole(offeredPerSecond)],
  ['a second', ({ perSecond, unit }) => suffixed(whole(perSecond), unit)],
  ['in all', ({ count }) => whole(count)],
  ['lost', ({ lost }) => whole(lost)],
  ['p50 ms', ({ latencyMs }) => fixed(latencyMs?.p50)],
  ['p99 ms', ({ latencyMs }) => fixed(latencyMs?.p99)],
  ['max ms', ({ latencyMs }) => fixed(latencyMs?.max)],
  ['each CPU second', ({ perCpuSecond }) => whole(perCpuSecond)],
  ['server cores', ({ serverCores }) => fixed(serverCores)],
  ['generator cores', ({ generatorCores }) => fixed(generatorCores)],
  ['others', ({ disturbed }) => percent(disturbed)],
  ['server MiB', ({ rssMiB }) => fixed(rssMiB, 0)],
  ['B a connection', ({ bytesPerConnection }) => whole(bytesPerConnection)],
  [
    'checks',
    ({ faults }) => (faults === undefined ? '' : faults.length === 0 ? 'passed' : 'FAILED'),
  ],
]

/** Columns of words; the others are numbers and stand to the right. */
const WORDS = 3

/** Markdown, so that it can go into a document as it is. A column that nobody fills is left out. */
export function table(rows: readonly Measured[]): string {
  const columns = COLUMNS.map(([title, cell], index) => {
    const cells = rows.map((row) => oneLine(cell(row)).replaceAll('|', '\\|'))
    return { title, cells, isText: index < WORDS }
  }).filter(({ cells, isText }) => isText || cells.some((text) => text !== ''))
  const lines = columns.map(({ title, cells, isText }) => {
    const width = Math.max(title.length, ...cells.map((text) => text.length))
    const rule = '-'.repeat(width + 1) + (isText ? '-' : ':')
    const pad = (text: string) => ` ${isText ? text.padEnd(width) : text.padStart(width)} `
    return [pad(title), rule, ...cells.map(pad)]
  })
  return lines[0]!.map((_, row) => `|${lines.map((column) => column[row]).join('|')}|`).join('\n')
}

/** The whole of what is printed, ending in a line break. */
export function report({ command, startedAt, machine, measured, missing }: RunRecord): string {
  const { cpu, cores, memoryGiB, kernel, bun, pinning, openFilesMax, dataFolder } = machine
  const head = [
    `\`${command}\``,
    `${cpu}, ${cores} cores, ${memoryGiB} GiB; ${kernel}; Bun ${bun}; ${startedAt}`,
    `${pinning}; fdatasync ${machine.fdatasyncMs.toFixed(2)} ms ` +
      `in ${dataFolder}; ${openFilesMax} open files a process`,
  ]
  const said = [
    ...warnings(measured),
    ...measured.flatMap(goalLines),
    ...measured.flatMap(noteLines),
    ...missing.map(({ peer, install }) => `- ${peer} is missing and was not measured: ${install}`),
  ]
  const parts = [head.join('\n'), table(measured), said.map(oneLine).join('\n')]
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}

function warnings(rows: readonly Measured[]): string[] {
  const worst = Math.max(0, ...rows.map(({ disturbed = 0 }) => disturbed).filter(Number.isFinite))
  if (worst <= DISTURBED_MAX) return []
  return [`- other processes had up to ${percent(worst)} of a core: measure again, alone`]
}

/** A run with faults proves no goal. */
function goalLines(row: Measured): string[] {
  return (row.goals ?? []).map(({ text, goal, value, met }) => {
    const outcome = (row.faults ?? []).length > 0 ? 'VOID' : met ? 'met' : 'MISSED'
    return `- ${nameOf(row)}: ${text}: ${value}, asked ${goal}: ${outcome}`
  })
}

function noteLines(row: Measured): string[] {
  const { notes = [], faults = [] } = row
  return [
    ...notes.map((note) => `- ${nameOf(row)}: ${note}`),
    ...faults.map((fault) => `- ${nameOf(row)} FAILED: ${fault}`),
  ]
}

function nameOf({ scenario, subject, load }: Measured): string {
  return `${scenario}, ${subject}, ${load}`
}

/** A name from outside must not break the table, nor move the cursor. */
function oneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
}

function suffixed(figure: string, unit: string): string {
  return figure === '' ? '' : `${figure} ${unit}`
}

function whole(value: number | undefined): string {
  return isFigure(value) ? Math.round(value).toLocaleString('en') : ''
}

function percent(share: number | undefined): string {
  return isFigure(share) ? `${Math.round(share * 100)} %` : ''
}

function fixed(value: number | undefined, digits = 2): string {
  return isFigure(value) ? value.toFixed(digits) : ''
}

/** What is no number became null on its way through JSON. */
function isFigure(value: number | null | undefined): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}
