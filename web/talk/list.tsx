/**
 * The list of messages: a window on a timeline, in a box that scrolls.
 *
 * 1. *What is there*: the window holds a contiguous run of messages; near either end of the box it
 *    is asked for the next page, and lets go of as many at the other end.
 * 2. *Keeping one's place*: before each change we note where the topmost visible message stands,
 *    and after it we scroll until it stands there again. At the end of a conversation we stay at
 *    the end instead.
 * 3. *As often as it pays*: changes are drawn once a frame, and less often when drawing takes long.
 *    At the end only the last messages are drawn: what has scrolled out of sight is not laid out.
 */
import { Component, createRef } from 'preact'
import type { Message, TimelineWindow } from '../../client'
import type { TalkPlace } from '../places.ts'
import { MessageRow, PendingRow } from './message.tsx'
import { rowsOf } from './rows.ts'

/** Nearer to the end than this is at the end, in pixels. */
const AT_END_PX = 48
/** Pages are asked for this many heights of the box ahead. */
const AHEAD_HEIGHTS = 1.5
/** Messages drawn while one stays at the end; several times what the eye sees. */
const DRAWN_AT_END = 100
/** Drawing takes at most this part of the time, and never waits longer than that. */
const DRAWING_SHARE = 1 / 5
const DRAW_WAIT_MS_MAX = 400

interface Props {
  window: TimelineWindow<Message>
  place: TalkPlace
  target: number | undefined
  unreadAfter: number | undefined
  isOffline: boolean
  onQuote: (text: string) => void
  /** The last message is on the screen and somebody looks at it. */
  onRead: (seq: number) => void
}

interface Anchor {
  seq: string
  top: number
}

export class MessageList extends Component<Props> {
  readonly #box = createRef<HTMLDivElement>()
  #atEnd = this.props.target === undefined
  #shownTarget: number | undefined
  #frame: number | undefined
  #drawnAtMs = 0
  #waitMs = 0
  #startedAtMs = 0
  #off: (() => void)[] = []

  override componentDidMount(): void {
    this.#off = [
      this.props.window.onChange(() => this.#schedule()),
      listen(document, 'visibilitychange', () => this.#tellRead()),
      listen(globalThis, 'focus', () => this.#tellRead()),
      listen(globalThis, 'resize', () => this.#atEnd && this.#toEnd()),
    ]
    this.componentDidUpdate(this.props, {}, undefined)
  }

  override componentWillUnmount(): void {
    for (const off of this.#off) off()
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame)
  }

  #schedule(): void {
    if (this.#frame !== undefined) return
    const draw = () => {
      if (performance.now() - this.#drawnAtMs < this.#waitMs) {
        this.#frame = requestAnimationFrame(draw)
        return
      }
      this.#frame = undefined
      this.#startedAtMs = performance.now()
      this.forceUpdate()
    }
    this.#frame = requestAnimationFrame(draw)
  }

  override getSnapshotBeforeUpdate(): Anchor | undefined {
    const box = this.#box.current
    if (box === null || this.#atEnd) return undefined
    const top = box.getBoundingClientRect().top
    for (const article of box.querySelectorAll<HTMLElement>('article[data-seq]')) {
      const place = article.getBoundingClientRect()
      if (place.bottom > top) return { seq: article.dataset.seq!, top: place.top }
    }
    return undefined
  }

  override componentDidUpdate(before: Props, _: unknown, anchor: Anchor | undefined): void {
    if (before.target !== this.props.target) this.#shownTarget = undefined
    if (!this.#showTarget()) {
      if (this.#atEnd) this.#toEnd()
      else if (anchor !== undefined) this.#restore(anchor)
    }
    this.#drawnAtMs = performance.now()
    const tookMs = this.#startedAtMs === 0 ? 0 : this.#drawnAtMs - this.#startedAtMs
    this.#waitMs = Math.min(DRAW_WAIT_MS_MAX, tookMs / DRAWING_SHARE)
    this.#startedAtMs = 0
    this.#loadAhead()
    this.#tellRead()
  }

  /** Scrolls to the message the address names, once it is there. True if that was done now. */
  #showTarget(): boolean {
    const { target } = this.props
    if (target === undefined || target === this.#shownTarget) return false
    const article = this.#find(String(target))
    if (article === null) return false
    this.#shownTarget = target
    this.#setAtEnd(false)
    article.scrollIntoView({ block: 'center' })
    article.focus({ preventScroll: true })
    return true
  }

  #find(seq: string): HTMLElement | null {
    return this.#box.current?.querySelector(`[data-seq="${seq}"]`) ?? null
  }

  #restore({ seq, top }: Anchor): void {
    const article = this.#find(seq)
    if (article === null) return
    const moved = article.getBoundingClientRect().top - top
    if (moved !== 0) this.#box.current!.scrollTop += moved
  }

  #toEnd(): void {
    const box = this.#box.current
    if (box !== null) box.scrollTop = box.scrollHeight
  }

  #setAtEnd(atEnd: boolean): void {
    if (atEnd === this.#atEnd) return
    this.#atEnd = atEnd
    this.props.window.follow(atEnd)
    this.#schedule()
  }

  readonly #scrolled = (): void => {
    const box = this.#box.current!
    const below = box.scrollHeight - box.scrollTop - box.clientHeight
    this.#setAtEnd(this.props.window.atEnd && below < AT_END_PX)
    this.#loadAhead()
    this.#tellRead()
  }

  #loadAhead(): void {
    const { window } = this.props
    const box = this.#box.current
    if (box === null || window.state !== 'ready') return
    const ahead = box.clientHeight * AHEAD_HEIGHTS
    // A page that could not be had is asked for again by the next scrolling.
    if (!this.#atEnd && box.scrollTop < ahead && !window.atStart) window.loadOlder().catch(() => {})
    const below = box.scrollHeight - box.scrollTop - box.clientHeight
    if (below < ahead && !window.atEnd) window.loadNewer().catch(() => {})
  }

  #tellRead(): void {
    const { window, onRead } = this.props
    if (!this.#atEnd || document.visibilityState === 'hidden' || !document.hasFocus()) return
    const last = window.events.at(-1)
    if (last !== undefined) onRead(last.seq)
  }

  readonly #jumpToEnd = (): void => {
    this.#setAtEnd(true)
    void this.props.window.jumpToEnd().catch(() => {})
  }

  /** Arrow keys go from message to message; `q` quotes the one that has the focus. */
  readonly #key = (event: KeyboardEvent): void => {
    const { key, target } = event
    const article = (target as Element).closest<HTMLElement>('article[data-seq]')
    const articles = [...this.#box.current!.querySelectorAll<HTMLElement>('article[data-seq]')]
    const at = article === null ? articles.length : articles.indexOf(article)
    const next = { ArrowUp: at - 1, ArrowDown: at + 1 }[key]
    if (next !== undefined) articles[Math.min(Math.max(next, 0), articles.length - 1)]?.focus()
    else if (key === 'q' && article !== null && target === article)
      article.querySelector<HTMLElement>('.quote')?.click()
    else return
    event.preventDefault()
  }

  override render({ window, place, target, unreadAfter, isOffline, onQuote }: Props) {
    const { events, atStart, atEnd, posts } = window
    const drawn = this.#atEnd ? events.slice(-DRAWN_AT_END) : events
    const rows = rowsOf(drawn, unreadAfter)
    return (
      <div class="list">
        <div
          class="box"
          ref={this.#box}
          role="log"
          aria-label="Messages"
          tabIndex={0}
          onScroll={this.#scrolled}
          onKeyDown={this.#key}
        >
          <div class="filler" />
          {atStart && drawn.length === events.length && <Beginning empty={events.length === 0} />}
          {rows.map((row) => (
            <MessageRow
              key={row.message.seq}
              row={row}
              place={place}
              isTarget={row.message.seq === target}
              onQuote={onQuote}
            />
          ))}
          {atEnd &&
            posts.map((post) => <PendingRow key={post.key} post={post} isOffline={isOffline} />)}
        </div>
        {!(this.#atEnd && atEnd) && (
          <button class="latest" type="button" onClick={this.#jumpToEnd}>
            Jump to latest
          </button>
        )}
      </div>
    )
  }
}

function Beginning({ empty }: { empty: boolean }) {
  return (
    <p class="beginning">{empty ? 'Nothing has been said here yet.' : 'This is where it began.'}</p>
  )
}

function listen(target: EventTarget, type: string, listener: () => void): () => void {
  target.addEventListener(type, listener)
  return () => target.removeEventListener(type, listener)
}
