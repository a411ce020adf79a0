/**
 * The report: one HTML file made from a record. It loads nothing, reads without a script, and
 * prints. What comes from the record is escaped wherever it stands.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { RunRecord } from '../record.ts'
import { type Content, html, Markup } from './markup.ts'
import { bytes, count, duration, figure, isNumber, plural, withUnit } from './numbers.ts'
import { anchorOf, scenarioSection } from './scenario.ts'
import {
  failed,
  isSubject,
  leadOf,
  type Outcome,
  OWN,
  outcomesOf,
  type Scenario,
  scenariosOf,
  tally,
} from './verdict.ts'
import { capital, headline } from './words.ts'

/** What the browser holds us to: no request leaves the page. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

/** Writes the report to `file`, making its folder. Throws what the file system throws. */
export function writeReport(record: RunRecord, file: string): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, renderReport(record))
}

/** The whole page. Missing and odd values are shown as such; no record makes it throw. */
export function renderReport(record: RunRecord): string {
  const scenarios = scenariosOf(record.measured)
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Parley, measured ${dayOf(record)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<style>${part('page.css')}</style></head><body>
<header class="masthead"><h1>Parley, measured</h1><p class="lede">${overall(record, scenarios)}</p>
${keyFigures(record)}</header>
${contents(scenarios)}
<main>${scenarios.map((scenario) => scenarioSection(scenario, record.missing))}</main>
${missingPeers(record)}${colophon(record)}
<script>${part('readout.js')}</script></body></html>
`
  return page.text
}

function part(name: string): Markup {
  return new Markup(readFileSync(new URL(name, import.meta.url), 'utf8'))
}

function overall({ measured }: RunRecord, scenarios: readonly Scenario[]): string {
  if (measured.length === 0) return 'Nothing was measured.'
  const { met, missed, void: unknown } = tally(measured)
  const all = met + missed + unknown
  const where = plural(scenarios.length, 'scenario')
  const share = met === all ? 'All' : `${count(met)} of`
  const goals = `${all === 0 ? 'No goals set' : `${share} ${plural(all, 'goal')} met`} in ${where}.`
  const broken = measured.filter(failed).length
  return broken === 0 ? goals : `${goals} ${plural(broken, 'run')} failed and count for nothing.`
}

/** The best that passed its checks, one for each unit, with where it was measured. */
function keyFigures({ measured }: RunRecord): Content {
  const own = measured.filter((row) => isSubject(row, OWN) && !failed(row))
  const lean = own.filter(({ bytesPerConnection }) => isNumber(bytesPerConnection))
  const rates = ['deliveries', 'posts', 'pages'].flatMap((unit) => {
    const best = leadOf(own.filter((row) => row.unit === unit && isNumber(row.perSecond)))
    if (best === undefined) return []
    const p99 = best.latencyMs?.p99
    const what = `${unit} a second${isNumber(p99) ? `, p99 ${duration(p99)}` : ''}`
    return [keyFigure(figure(best.perSecond), what, best.scenario)]
  })
  const memory = lean
    .slice(0, 1)
    .map((row) =>
      keyFigure(bytes(row.bytesPerConnection), 'of memory for a connection', row.scenario),
    )
  const all = [...rates, ...memory]
  return all.length > 0 && html`<dl class="key-figures">${all}</dl>`
}

function keyFigure(value: string, what: string, scenario: string): Markup {
  return html`<div><dt>${what}<br><a href="#${anchorOf(scenario)}">${capital(scenario)}</a></dt>
<dd>${value}</dd></div>`
}

function contents(scenarios: readonly Scenario[]): Content {
  if (scenarios.length < 2) return undefined
  const items = scenarios.map(({ name, rows }) => {
    const { met, missed, void: unknown } = tally(rows)
    const all = met + missed + unknown
    const score = all === 0 ? 'no goal' : `${met} of ${all} met`
    return html`<li><a href="#${anchorOf(name)}">${capital(name)}</a> <span>${headline(rows)}</span>
<span class="score">${outcomesOf(rows).map(goalMark)}${score}</span></li>`
  })
  return html`<nav aria-label="Scenarios"><ol class="contents">${items}</ol></nav>`
}

function goalMark(outcome: Outcome): Markup {
  return html`<span class="mark ${outcome}" aria-hidden="true"></span>`
}

function missingPeers({ missing }: RunRecord): Content {
  if (missing.length === 0) return undefined
  const items = missing.map(
    ({ peer, install }) => html`<dt><bdi>${peer}</bdi></dt><dd><code>${install}</code></dd>`,
  )
  return html`<section class="missing"><header><p class="scenario-name">Not measured</p></header>
<div class="body"><p>These peers were not installed here. Install one and it is measured in the
next run.</p><dl>${items}</dl></div></section>`
}

function colophon({ command, startedAt, machine }: RunRecord): Markup {
  const facts: [string, Content][] = [
    ['command', html`<code>${command}</code>`],
    ['started', timeOf(startedAt)],
    ['machine', `${machine.cpu}, ${machine.cores} cores, ${withUnit(machine.memoryGiB, 'GiB')}`],
    ['system', `${machine.kernel}, Bun ${machine.bun}`],
    ['pinning', machine.pinning],
    ['disk', `${duration(machine.fdatasyncMs)} for a synced write, in ${machine.dataFolder}`],
    ['open files', openFiles(machine.openFilesMax)],
  ]
  const rows = facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)
  return html`<footer><dl>${rows}</dl><p>Figures are rounded to three digits; the record that
<code>--json</code> writes has them in full. Latency counts from the planned time of a post, whether
or not the server kept up. KB and MB are 1,000 and 1,000,000 bytes, MiB 1,048,576.</p></footer>`
}

function openFiles(max: number | null): string {
  return isNumber(max) ? `${count(max)} a process` : 'not limited'
}

function dayOf({ startedAt }: RunRecord): string {
  return timeOf(startedAt).slice(0, 10)
}

/** `2026-11-24 16:05 UTC`; what is no time is shown as it is. */
function timeOf(startedAt: string): string {
  const time = new Date(startedAt)
  if (Number.isNaN(time.getTime())) return startedAt
  return `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
