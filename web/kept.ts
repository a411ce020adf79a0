/**
 * What this browser keeps for the one who is signed in: how far each conversation was read, drafts,
 * people written to, choices. The server knows nothing of it. All of it is gone with a sign-out.
 */
import { keyOf, type TalkPlace } from './places.ts'

/** Conversations whose marks are kept; the ones not visited for longest go first. */
const MARKS_MAX = 1_000
/** People kept in the list of conversations. */
const PEOPLE_MAX = 200

export interface KnownPerson {
  id: string
  name: string
  /** When we last wrote or heard, in milliseconds since 1970. */
  at: number
}

/** `[seq read, visited at]` by the place's key. */
type Marks = Record<string, [seq: number, visitedAt: number]>

export class Kept {
  readonly #prefix: string
  #marks: Marks
  #epoch: string

  constructor(userId: string) {
    this.#prefix = `parley.page.${userId}.`
    const { epoch, marks } = this.#read('marks', { epoch: '', marks: {} as Marks })
    this.#epoch = epoch
    this.#marks = marks
  }

  /** The last seq read; undefined in a conversation never opened here. */
  readMark(place: TalkPlace): number | undefined {
    return this.#marks[keyOf(place)]?.[0]
  }

  /** Keys of the places visited, the latest first. */
  visited(): string[] {
    return Object.keys(this.#marks).sort((a, b) => this.#marks[b]![1] - this.#marks[a]![1])
  }

  /** Moves the mark forward; true if that changed anything. */
  markRead(place: TalkPlace, seq: number): boolean {
    const key = keyOf(place)
    const known = this.#marks[key]?.[0] ?? -1
    if (seq <= known) return false
    this.#marks[key] = [seq, Date.now()]
    for (const stale of this.visited().slice(MARKS_MAX)) delete this.#marks[stale]
    this.#saveMarks()
    return true
  }

  /** Seqs of another epoch mean other messages: the marks start over. */
  useEpoch(epoch: string): void {
    if (epoch === this.#epoch) return
    if (this.#epoch !== '') this.#marks = {}
    this.#epoch = epoch
    this.#saveMarks()
  }

  /** Another tab has read on. True if `key`, of a storage event, was about the marks. */
  reloadMarks(key: string | null): boolean {
    if (key !== `${this.#prefix}marks`) return false
    this.#marks = this.#read('marks', { epoch: '', marks: {} as Marks }).marks
    return true
  }

  #saveMarks(): void {
    this.#write('marks', { epoch: this.#epoch, marks: this.#marks })
  }

  people(): KnownPerson[] {
    return this.#read<KnownPerson[]>('people', [])
  }

  savePeople(people: readonly KnownPerson[]): void {
    this.#write('people', people.slice(0, PEOPLE_MAX))
  }

  draft(place: TalkPlace): string {
    return this.#read(`draft.${keyOf(place)}`, '')
  }

  saveDraft(place: TalkPlace, text: string): void {
    if (text === '') localStorage.removeItem(`${this.#prefix}draft.${keyOf(place)}`)
    else this.#write(`draft.${keyOf(place)}`, text)
  }

  get notifies(): boolean {
    return this.#read('notifies', false)
  }

  set notifies(on: boolean) {
    this.#write('notifies', on)
  }

  get lastPlace(): string | undefined {
    return this.#read<string | undefined>('last', undefined)
  }

  set lastPlace(key: string | undefined) {
    this.#write('last', key)
  }

  forget(): void {
    for (const key of Object.keys(localStorage))
      if (key.startsWith(this.#prefix)) localStorage.removeItem(key)
  }

  #read<T>(name: string, otherwise: T): T {
    try {
      const text = localStorage.getItem(this.#prefix + name)
      return text === null ? otherwise : (JSON.parse(text) as T)
    } catch {
      return otherwise
    }
  }

  /** A full or forbidden storage costs what is kept over a reload, and nothing else. */
  #write(name: string, value: unknown): void {
    try {
      localStorage.setItem(this.#prefix + name, JSON.stringify(value))
    } catch {}
  }
}
