/**
 * Markup that cannot be broken by what it shows: whatever is put into the template is escaped,
 * unless it is markup itself.
 */

export class Markup {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** What may stand in a template. Nothing is shown for `undefined` and `false`. */
export type Content = Markup | string | number | undefined | false | readonly Content[]

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Neither these nor what turns the direction of the text around may reach a reader's screen. */
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g

/** Safe between tags and in quoted attributes. Control characters become U+FFFD. */
export function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!).replace(CONTROLS, '\ufffd')
}

/** The template tag: html`<p>${text}</p>`. */
export function html(strings: TemplateStringsArray, ...contents: Content[]): Markup {
  return new Markup(String.raw({ raw: strings }, ...contents.map(render)))
}

function render(content: Content): string {
  if (content === undefined || content === false) return ''
  if (content instanceof Markup) return content.text
  if (typeof content === 'object') return content.map(render).join('')
  return escapeText(String(content))
}
