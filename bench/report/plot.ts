/**
 * Latency over time, as an inline SVG that is as wide as its place: what stretches is in an inner
 * SVG without a fixed aspect, what must not (text, dots) is placed outside it by percentages. So
 * one drawing serves a telephone and a printed page.
 */
import type { Second } from '../record.ts'
import { html, type Markup } from './markup.ts'
import { duration, isNumber, type Maybe, NOTHING, shortFigure } from './numbers.ts'
import { linearScale, type Scale, timeStep } from './scale.ts'
import { linesOf, type Spot, spread, thin } from './series.ts'

export interface LatencyPlot {
  seconds: readonly Second[]
  /** What is counted a second, for example `deliveries`. */
  unit: string
  /** Of latencies in ms; shared by plots that are to be compared. */
  scale: Scale
  /** The p99 that was asked for, in ms. */
  limitMs?: number | undefined
  /** The p99 of another subject under the same load. */
  reference?: { name: string; seconds: readonly Second[] } | undefined
}

const HEIGHT = 200
const RATE_HEIGHT = 36
/** Between the two drawings. */
const GAP = 30
/** The width of the inner drawing, whatever it is on the screen. */
const INNER = 1_000
const LABEL_GAP = 15

interface Line {
  name: string
  class: string
  spots: (Spot | undefined)[]
}

/** The figure; a sentence instead of it where there is nothing to draw. */
export function latencyPlot(plot: LatencyPlot): Markup {
  const seconds = thin(plot.seconds)
  if (!seconds.some(({ p50, p99 }) => isNumber(p50) || isNumber(p99)))
    return html`<p class="none">No second of this run had a latency to draw.</p>`
  const first = seconds[0]!.atS
  const last = seconds.at(-1)!.atS
  const time = linearScale(first, last, timeStep(Math.max(1, last - first)))
  const lines = linesFor(plot, seconds, time)
  return html`<svg class="plot" width="100%" height="${HEIGHT + GAP + RATE_HEIGHT + 22}" role="img"
 aria-label="${describe(seconds)}" data-read="${readings(seconds, time, plot.unit)}">
${latencyAxis(plot.scale)}${limitLine(plot)}${stretched(0, HEIGHT, lines.map(path))}
${lines.map(dots)}${lineLabels(lines)}${ratePlot(seconds, time, plot.unit)}${timeAxis(time)}
<line class="cursor" y1="0" y2="${HEIGHT + GAP + RATE_HEIGHT}" x1="0" x2="0"/></svg>`
}

function linesFor({ scale, reference }: LatencyPlot, seconds: Second[], time: Scale): Line[] {
  const spots = (all: readonly Second[], latency: (second: Second) => Maybe) =>
    all.map((second) => spot(time.place(second.atS), scale.place(latency(second)), HEIGHT))
  const own: Line[] = [
    { name: 'p99', class: 'p99', spots: spots(seconds, ({ p99 }) => p99) },
    { name: 'p50', class: 'p50', spots: spots(seconds, ({ p50 }) => p50) },
  ]
  if (reference === undefined) return own
  const [first, last] = [seconds[0]!.atS, seconds.at(-1)!.atS]
  const inside = reference.seconds.filter(({ atS }) => atS >= first && atS <= last)
  const theirs = spots(thin(inside), ({ p99 }) => p99)
  return [{ name: reference.name, class: 'reference', spots: theirs }, ...own]
}

function spot(x: number | undefined, share: number | undefined, height: number): Spot | undefined {
  if (x === undefined || share === undefined) return undefined
  return { x, y: (1 - share) * height }
}

function latencyAxis(scale: Scale): Markup[] {
  return scale.ticks.map((tick) => {
    const y = fixed((1 - scale.place(tick)!) * HEIGHT)
    return html`<line class="grid" x1="0" x2="100%" y1="${y}" y2="${y}"/>
<text class="tick y" x="-8" y="${y}" dy="4">${tick === 0 ? '0' : duration(tick)}</text>`
  })
}

function limitLine({ scale, limitMs }: LatencyPlot): Markup | undefined {
  const share = scale.place(limitMs)
  if (share === undefined) return undefined
  const y = fixed((1 - share) * HEIGHT)
  return html`<line class="limit" x1="0" x2="100%" y1="${y}" y2="${y}"/>
<text class="limit-name" x="4" y="${y}" dy="-5">goal for p99: ${duration(limitMs)}</text>`
}

function stretched(y: number, height: number, content: readonly Markup[]): Markup {
  return html`<svg x="0" y="${y}" width="100%" height="${height}"
 viewBox="0 0 ${INNER} ${height}" preserveAspectRatio="none">${content}</svg>`
}

function path({ class: name, spots }: Line): Markup {
  const parts = linesOf(spots).filter((line) => line.length > 1)
  return html`<path class="${name}" d="${parts.map(polyline).join('')}"/>`
}

function polyline(spots: readonly Spot[]): string {
  return `M${spots.map(({ x, y }) => `${fixed(x * INNER)} ${fixed(y)}`).join('L')}`
}

/** A second without neighbours makes no line. */
function dots({ class: name, spots }: Line): Markup[] {
  const alone = linesOf(spots).filter((line) => line.length === 1)
  return alone.map(
    ([one]) =>
      html`<circle class="${name}" cx="${fixed(one!.x * 100)}%" cy="${fixed(one!.y)}" r="3.5"/>`,
  )
}

/** Each line is named where it ends, so no legend has to be looked up. */
function lineLabels(lines: readonly Line[]): Markup[] {
  const named = lines.flatMap((line) => {
    const end = line.spots.findLast((one) => one !== undefined)
    return end === undefined ? [] : [{ line, end }]
  })
  const places = spread(
    named.map(({ end }) => end.y),
    LABEL_GAP,
    HEIGHT,
  )
  return named.map(
    ({ line }, i) =>
      html`<text class="name ${line.class}" x="100%" dx="8" y="${fixed(places[i]!)}" dy="4">${
        line.name
      }</text>`,
  )
}

/** Below, small: how much came through each second. */
function ratePlot(seconds: readonly Second[], time: Scale, unit: string): Markup | undefined {
  const rates = seconds.map(({ perSecond }) => perSecond).filter(isNumber)
  const high = Math.max(0, ...rates)
  if (high === 0) return undefined
  const scale = linearScale(0, high, high)
  const spots = seconds.map(({ atS, perSecond }) =>
    spot(time.place(atS), scale.place(perSecond), RATE_HEIGHT),
  )
  const areas = linesOf(spots).filter((line) => line.length > 1)
  const top = HEIGHT + GAP
  const drawn = [
    html`<path class="rate" d="${areas.map(area).join('')}"/>`,
    html`<path class="rate-line" d="${areas.map(polyline).join('')}"/>`,
  ]
  return html`<text class="tick" x="0" y="${top}" dy="-8">${unit} a second</text>
<line class="grid" x1="0" x2="100%" y1="${top}" y2="${top}"/>
<text class="tick y" x="-8" y="${top}" dy="4">${shortFigure(high)}</text>
${stretched(top, RATE_HEIGHT, drawn)}`
}

function area(spots: readonly Spot[]): string {
  const [left, right] = [spots[0]!.x, spots.at(-1)!.x].map((x) => fixed(x * INNER))
  return `${polyline(spots)}L${right} ${RATE_HEIGHT}L${left} ${RATE_HEIGHT}Z`
}

function timeAxis(time: Scale): Markup {
  const y = HEIGHT + GAP + RATE_HEIGHT
  const ticks = time.ticks.map((tick) => {
    const x = `${fixed(time.place(tick)! * 100)}%`
    return html`<line class="axis" x1="${x}" x2="${x}" y1="${y}" y2="${y + 4}"/>
<text class="tick x" x="${x}" y="${y + 18}">${clock(tick)}</text>`
  })
  return html`<line class="axis" x1="0" x2="100%" y1="${y}" y2="${y}"/>${ticks}`
}

function clock(second: number): string {
  if (second === 0) return '0'
  return duration(second * 1_000)
}

/** What the drawing says, for those who do not see it. */
export function describe(seconds: readonly Second[]): string {
  const p99 = seconds.map((second) => second.p99).filter(isNumber)
  if (p99.length === 0) return 'Latency over time'
  const range = `${duration(Math.min(...p99))} to ${duration(Math.max(...p99))}`
  const span = duration((seconds.at(-1)!.atS - seconds[0]!.atS) * 1_000)
  return `Latency over ${span}: p99 from ${range}`
}

/** For the pointer: places from 0 to 1 and what to say there, as JSON. */
function readings(seconds: readonly Second[], time: Scale, unit: string): string {
  return JSON.stringify(
    seconds.map(({ atS, perSecond, p50, p99 }) => [
      Number(fixed(time.place(atS)! * 1_000)) / 1_000,
      `at ${duration(atS * 1_000)}: p50 ${duration(p50)}, p99 ${duration(p99)}` +
        (isNumber(perSecond) ? `, ${shortFigure(perSecond)} ${unit} a second` : ''),
    ]),
  )
}

function fixed(value: number): string {
  return isNumber(value) ? String(Math.round(value * 10) / 10) : NOTHING
}
