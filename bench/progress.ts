/** What is to be seen while a run goes on: on a terminal one line that is written over. */
import type { Progress as Told } from './generator/job.ts'

export class Progress {
  readonly #out = process.stderr
  #subject = ''

  /** `stadium, parley`. Elsewhere than on a terminal, this line is all. */
  begin(subject: string): void {
    this.#subject = subject
    if (!this.#out.isTTY) this.#out.write(`${subject} …\n`)
  }

  say(text: string): void {
    if (this.#out.isTTY) this.#out.write(`\r\x1b[K${this.#subject}: ${text}`)
  }

  /** What the generator tells once a second. */
  tell(told: Told, unit: string): void {
    this.say(progressText(told, unit))
  }

  end(): void {
    if (this.#out.isTTY) this.#out.write('\r\x1b[K')
  }
}

/** `1,000 posts/s, 12 of 120 s: 9,998,012 deliveries a second` */
export function progressText({ phase, atS, ofS, perSecond }: Told, unit: string): string {
  const of = ofS > 0 ? ` of ${ofS}` : ''
  const rate = Math.round(perSecond).toLocaleString('en')
  return `${phase}, ${Math.round(atS)}${of} s: ${rate} ${unit} a second`
}
