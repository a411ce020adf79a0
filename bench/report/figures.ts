/** All figures of a scenario in one table; on a narrow screen each row becomes a card. */
import type { Measured } from '../record.ts'
import { type Content, html, type Markup } from './markup.ts'
import {
  bytes,
  count,
  duration,
  figure,
  isNumber,
  NOTHING,
  percent,
  shortFigure,
  withUnit,
} from './numbers.ts'
import { failed, isSubject, OWN } from './verdict.ts'

interface Column {
  title: string
  /**
   * Nothing where the row has no such figure; a column of nothing is left out. The unit is named
   * where the rows of the table do not share one.
   */
  cell: (row: Measured, unit?: string) => Content
  /** Words rather than a number. */
  isText?: boolean
}

const COLUMNS: readonly Column[] = [
  { title: 'load', cell: ({ load }) => load, isText: true },
  { title: 'checks', cell: checks, isText: true },
  { title: 'offered', cell: ({ offeredPerSecond: rate }, unit) => rateOf(rate, unit) },
  { title: 'got through', cell: ({ perSecond }, unit) => rateOf(perSecond, unit) },
  { title: 'in all', cell: ({ count: all }) => isNumber(all) && inAll(all) },
  { title: 'lost', cell: ({ lost }) => isNumber(lost) && count(lost) },
  { title: 'p50', cell: ({ latencyMs }) => known(duration(latencyMs?.p50)) },
  { title: 'p99', cell: ({ latencyMs }) => known(duration(latencyMs?.p99)) },
  { title: 'slowest', cell: ({ latencyMs }) => known(duration(latencyMs?.max)) },
  { title: 'each run', cell: ({ runs = [] }) => runs.map(shortFigure).join(' · '), isText: true },
  { title: 'each CPU second', cell: ({ perCpuSecond }) => known(shortFigure(perCpuSecond)) },
  { title: 'server cores', cell: ({ serverCores }) => cores(serverCores) },
  { title: 'generator cores', cell: ({ generatorCores }) => cores(generatorCores) },
  { title: 'memory', cell: ({ rssMiB }) => known(withUnit(rssMiB, 'MiB')) },
  {
    title: 'for a connection',
    cell: ({ bytesPerConnection }) => known(bytes(bytesPerConnection)),
  },
  { title: 'received', cell: ({ receivedBytes }) => known(bytes(receivedBytes)) },
  {
    title: 'other processes',
    cell: ({ disturbed }) => known(percent(disturbed)),
  },
]

export function figuresTable(rows: readonly Measured[]): Markup {
  const columns = COLUMNS.filter(({ cell }) => rows.some((row) => isShown(cell(row))))
  const head = columns.map(
    (column) => html`<th scope="col" class="${kindOf(column)}">${column.title}</th>`,
  )
  const units = new Set(rows.map(({ unit }) => unit))
  const [shared] = units.size === 1 ? units : []
  const body = rows.map((row) => bodyRow(row, columns, shared ? undefined : row.unit))
  return html`<figure class="all-figures"><figcaption><h3>All figures</h3>
<p>Rates are ${shared ?? 'counted'} a second.</p></figcaption>
<div class="scroll"><table class="figures"><thead><tr><th scope="col">subject</th>${head}</tr>
</thead><tbody>${body}</tbody></table></div></figure>`
}

function bodyRow(row: Measured, columns: readonly Column[], unit?: string): Markup {
  const kind = failed(row) ? 'void' : isSubject(row, OWN) ? 'own' : ''
  const cells = columns.map((column) => {
    const content = column.cell(row, unit)
    const shown = isShown(content)
    return html`<td class="${kindOf(column)}${!shown && ' empty'}" data-title="${column.title}">${
      shown ? content : NOTHING
    }</td>`
  })
  return html`<tr class="${kind}"><th scope="row">${subjectName(row)}</th>${cells}</tr>`
}

/** With its version, if it is a peer's. */
export function subjectName({ subject, version }: Measured): Markup {
  const name = subject.toLowerCase() === OWN ? 'Parley' : subject
  return html`<bdi>${name}</bdi>${version !== undefined && html` <small>${version}</small>`}`
}

function kindOf({ isText }: Column): string {
  return isText ? 'words' : 'number'
}

function isShown(content: Content): boolean {
  return content !== undefined && content !== false && content !== ''
}

function known(text: string): Content {
  return text !== NOTHING && text
}

function rateOf(rate: number | undefined, unit?: string): Content {
  return isNumber(rate) && html`${shortFigure(rate)}${unit && html` <small>${unit}</small>`}`
}

/** People are counted in full, deliveries are not. */
function inAll(all: number): string {
  return all < 100_000 ? count(all) : figure(all)
}

/** With a small gauge of one core. */
function cores(value: number | undefined): Content {
  if (!isNumber(value)) return undefined
  const width = Math.round(Math.min(1, Math.max(0, value)) * 100)
  return html`<svg class="gauge" width="36" height="8" aria-hidden="true"><rect class="track"
 width="100%" height="8"/><rect class="fill" width="${width}%" height="8"/></svg>${figure(value)}`
}

function checks(row: Measured): Content {
  if (row.faults === undefined) return undefined
  return failed(row) ? html`<strong class="missed">failed</strong>` : 'passed'
}
