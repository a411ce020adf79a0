/** One scenario of the report, from its question to its figures. */
import type { Measured, MissingPeer } from '../record.ts'
import { type Bar, bars } from './bars.ts'
import { figuresTable, subjectName } from './figures.ts'
import { type Content, html, type Markup } from './markup.ts'
import { bytes, duration, figure, isNumber, percent, shortFigure } from './numbers.ts'
import { latencyPlot } from './plot.ts'
import { scaleFor } from './scale.ts'
import {
  BARE,
  contendersOf,
  failed,
  isBarePartner,
  isSubject,
  OWN,
  outcomeOf,
  p99LimitMs,
  type Scenario,
} from './verdict.ts'
import { capital, cautions, goalsSentence, headline, questionOf, ratioSentence } from './words.ts'

/** Scenarios whose peers are measured, so that a missing one must be named there. */
const WITH_PEERS = ['stadium', 'town']
const PEERS_HINT =
  'Every peer is shown at the heaviest load that it delivered whole; without one, at its best.'

export function scenarioSection(scenario: Scenario, missing: readonly MissingPeer[]): Markup {
  const { name, rows } = scenario
  return html`<section id="${anchorOf(name)}"><header><p class="scenario-name">${capital(name)}</p>
<p class="question">${questionOf(name)}</p></header><div class="body">
<h2>${headline(rows)}</h2><p class="verdict">${goalsSentence(rows)}</p>
${faultBox(rows)}${goalsTable(rows)}${plots(rows)}
${comparison(scenario, missing)}${memoryBars(rows)}
</div>${figuresTable(rows)}${notes(rows)}</section>`
}

/** A name from the record as a fragment of this page's address. */
export function anchorOf(name: string): string {
  return `scenario-${encodeURIComponent(name)}`
}

function faultBox(rows: readonly Measured[]): Content {
  const broken = rows.filter(failed)
  if (broken.length === 0) return undefined
  const items = broken.flatMap((row) =>
    row.faults!.map((fault) => html`<li>${subjectName(row)}, ${row.load}: ${fault}</li>`),
  )
  return html`<div class="faults" role="note"><h3>What went wrong</h3><ul>${items}</ul>
<p>A run with faults counts for nothing, whatever its figures say.</p></div>`
}

function goalsTable(rows: readonly Measured[]): Content {
  const withGoals = rows.filter(({ goals = [] }) => goals.length > 0)
  if (withGoals.length === 0) return undefined
  const several = withGoals.length > 1
  const body = withGoals.flatMap((row) => [
    several &&
      html`<tr class="load"><th scope="rowgroup" colspan="4">${subjectName(row)}, ${row.load}</th>
</tr>`,
    ...row.goals!.map((goal) => {
      const outcome = outcomeOf(row, goal)
      return html`<tr class="${outcome}"><th scope="row">${goal.text}</th><td>${goal.goal}</td>
<td class="measured">${goal.value}</td><td class="outcome"><span>${outcome}</span></td></tr>`
    }),
  ])
  return html`<table class="goals"><thead><tr><th scope="col">goal</th><th scope="col">asked</th>
<th scope="col">measured</th><th scope="col"></th></tr></thead><tbody>${body}</tbody></table>`
}

/** Parley's runs, all on one scale; the bare loop's p99 with those it had the same load as. */
function plots(rows: readonly Measured[]): Content {
  const own = rows.filter((row) => isSubject(row, OWN) && (row.series?.length ?? 0) > 0)
  if (own.length === 0) return undefined
  const partners = own.map((row) =>
    rows.find((one) => isBarePartner(one, row) && (one.series?.length ?? 0) > 0),
  )
  const limits = own.map(({ goals }) => p99LimitMs(goals))
  const seconds = [...own, ...partners].flatMap((row) => row?.series ?? [])
  const scale = scaleFor([...seconds.flatMap(({ p50, p99 }) => [p50, p99]), ...limits])
  const figures = own.map((row, i) => {
    const series = partners[i]?.series
    const reference = series && { name: BARE, seconds: series }
    const plot = { seconds: row.series!, unit: row.unit, scale, limitMs: limits[i], reference }
    return html`<figure class="plot-figure"><figcaption>${failed(row) && 'Failed: '}${row.load}
</figcaption>${latencyPlot(plot)}<output class="reading"></output></figure>`
  })
  const hint = scale.kind === 'logarithmic' ? '; the scale is logarithmic' : ''
  const gray = partners.some((row) => row) ? ' The gray line is the p99 of the bare loop.' : ''
  return html`<div class="plots-head"><h3>Latency over time</h3><p>Counted from the planned time of
each post to its arrival, second by second${hint}.${gray}</p></div>
<div class="plots${own.length > 1 && ' many'}">${figures}</div>`
}

function comparison({ name, rows }: Scenario, missing: readonly MissingPeer[]): Content {
  const contenders = contendersOf(rows)
  const absent = WITH_PEERS.includes(name) ? missing : []
  if (contenders.length < 2 && absent.length === 0) return undefined
  const unit = contenders[0]?.unit ?? rows[0]!.unit
  const own = contenders.find((row) => isSubject(row, OWN))
  const hasPeers = contenders.some((row) => !isSubject(row, OWN) && !isSubject(row, BARE))
  const title = `${capital(unit)} for a second of server CPU`
  return html`<figure><figcaption><h3>${title}</h3>
<p>${own && ratioSentence(own, rows)} ${hasPeers && PEERS_HINT}</p>
</figcaption>${bars(title, [...contenders.map(thriftBar), ...absent.map(absentBar)])}</figure>`
}

function thriftBar(row: Measured): Bar {
  const { perCpuSecond, durable, ordered } = row
  const facts: Content[] = [carried(row), durable, ordered]
  const name = subjectName(row)
  if (failed(row)) return { name, value: undefined, told: 'failed its checks', kind: 'void', facts }
  const kind = isSubject(row, OWN) ? 'own' : isSubject(row, BARE) ? 'bare' : 'peer'
  const told = isNumber(perCpuSecond) ? shortFigure(perCpuSecond) : 'not measured'
  return { name, value: perCpuSecond, told, kind, facts }
}

/** `100 k deliveries/s, p99 900 ms, 3 % lost`. */
function carried({ perSecond, unit, latencyMs, lost, count: all }: Measured): string {
  const parts = [
    isNumber(perSecond) && `${shortFigure(perSecond)} ${unit}/s`,
    isNumber(latencyMs?.p99) && `p99 ${duration(latencyMs.p99)}`,
    isNumber(lost) && (lost === 0 ? 'nothing lost' : lossOf(lost, all)),
  ]
  return parts.filter((part) => part !== false).join(', ')
}

function lossOf(lost: number, delivered: number | undefined): string {
  if (!isNumber(delivered) || delivered + lost <= 0) return `${figure(lost)} lost`
  return `${percent(lost / (delivered + lost))} lost`
}

function absentBar({ peer, install }: MissingPeer): Bar {
  const facts = [html`<code>${install}</code>`]
  const name = html`<bdi>${peer}</bdi>`
  return { name, value: undefined, told: 'not installed', kind: 'absent', facts }
}

function memoryBars(rows: readonly Measured[]): Content {
  const known = rows.filter(({ bytesPerConnection }) => isNumber(bytesPerConnection))
  if (known.length === 0) return undefined
  const list = known.map((row): Bar => {
    const own = isSubject(row, OWN) ? 'own' : isSubject(row, BARE) ? 'bare' : 'peer'
    const kind = failed(row) ? 'void' : own
    const told = failed(row) ? 'failed its checks' : bytes(row.bytesPerConnection)
    const value = failed(row) ? undefined : row.bytesPerConnection
    return { name: subjectName(row), value, told, kind, facts: [row.load] }
  })
  return html`<figure><figcaption><h3>Memory for a connection</h3></figcaption>
${bars('Bytes of memory for a connection', list)}</figure>`
}

function notes(rows: readonly Measured[]): Content {
  const items = rows.flatMap((row) =>
    [...(row.notes ?? []), ...cautions(row)].map(
      (note) => html`<li>${subjectName(row)}, ${row.load}: ${note}</li>`,
    ),
  )
  return items.length > 0 && html`<ul class="notes">${items}</ul>`
}
