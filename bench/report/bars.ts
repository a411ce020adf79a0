/**
 * Horizontal bars on one linear scale from zero, each with its figure and with what its subject
 * promises. The bar is drawn, the words are set as text, so they wrap and keep their size.
 */
import { type Content, html, type Markup } from './markup.ts'
import { isNumber, type Maybe } from './numbers.ts'

export interface Bar {
  name: Content
  value: Maybe
  /** The value with its unit; for a bar without a value, why there is none. */
  told: string
  /** `own` stands out, `bare` is the limit, `void` counts for nothing, `absent` was not here. */
  kind: 'own' | 'bare' | 'peer' | 'void' | 'absent'
  /** Short facts below the name, such as the load. */
  facts?: Content[]
}

/** A list of bars; nothing if there are none. `label` says what is compared, in which unit. */
export function bars(label: string, list: readonly Bar[]): Markup | undefined {
  if (list.length === 0) return undefined
  const high = Math.max(0, ...list.map(({ value }) => value).filter(isNumber))
  return html`<ul class="bars" aria-label="${label}">${list.map((bar) => item(bar, high))}</ul>`
}

function item({ name, value, told, kind, facts = [] }: Bar, high: number): Markup {
  return html`<li class="bar ${kind}"><span class="bar-name">${name}</span>
<span class="bar-line">${drawing(lengthOf(value, high))}</span>
<span class="bar-value">${told}</span>${
    facts.length > 0 && html`<span class="bar-facts">${facts.map(fact)}</span>`
  }</li>`
}

function fact(content: Content): Markup {
  return html`<span>${content}</span>`
}

function drawing(percent: number | undefined): Content {
  if (percent === undefined) return undefined
  return html`<svg width="100%" height="14" aria-hidden="true"><rect class="track" width="100%"
 height="14"/><rect class="fill" width="${percent}%" height="14"/></svg>`
}

/** In percent of the longest; a value above nothing is never invisible. */
export function lengthOf(value: Maybe, high: number): number | undefined {
  if (!isNumber(value)) return undefined
  if (value <= 0 || high <= 0) return 0
  return Math.max(0.3, Math.round((value / high) * 1_000) / 10)
}
