/** A bar for long work; elsewhere than on a terminal, a line now and then. */
const BAR_CELLS = 30
/** Elsewhere than on a terminal, one line for each so many percent. */
const STEP_PERCENT = 10

export class ProgressBar {
  readonly #what: string
  readonly #out: { isTTY?: boolean; write(text: string): unknown }
  #percent = -1

  constructor(what: string, out: { isTTY?: boolean; write(text: string): unknown }) {
    this.#what = what
    this.#out = out
  }

  /** `done` of `of`, in the same unit; drawn only when it makes a difference. */
  show(done: number, of: number): void {
    const percent = of > 0 ? Math.min(100, Math.floor((done / of) * 100)) : 100
    if (percent === this.#percent) return
    const line = `${this.#what} ${String(percent).padStart(3)} %`
    if (this.#out.isTTY) {
      const full = Math.round((percent / 100) * BAR_CELLS)
      const bar = '█'.repeat(full) + '░'.repeat(BAR_CELLS - full)
      this.#out.write(`\r\x1b[K${bar} ${line}`)
    } else if (Math.floor(percent / STEP_PERCENT) > Math.floor(this.#percent / STEP_PERCENT)) {
      this.#out.write(`${line}\n`)
    }
    this.#percent = percent
  }

  end(): void {
    if (this.#out.isTTY) this.#out.write('\r\x1b[K')
  }
}
