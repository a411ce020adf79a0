/** One message, and one that is on its way. */
import { Component } from 'preact'
import { useState } from 'preact/hooks'
import type { ParleyError, Post } from '../../client'
import { sentence } from '../faults.ts'
import { Markdown } from '../markdown.tsx'
import { hrefOf, type TalkPlace } from '../places.ts'
import { Time } from '../time.tsx'
import { dayLabel } from '../times.ts'
import type { Row } from './rows.ts'

/** Longer messages are folded until somebody wants them whole. */
const FOLDED_CHARS = 2_400
const FOLDED_LINES = 24

/** Authors are told apart by one of as many colours as `style/talk.css` has. */
const COLOURS = 8

export interface RowProps {
  row: Row
  place: TalkPlace
  /** The message that the address names. */
  isTarget: boolean
  onQuote: (text: string) => void
}

/** Rendered once: a message never changes. */
export class MessageRow extends Component<RowProps> {
  override shouldComponentUpdate({ row, isTarget }: RowProps): boolean {
    const known = this.props.row
    return (
      row.message !== known.message ||
      row.startsDay !== known.startsDay ||
      row.startsGroup !== known.startsGroup ||
      row.startsUnread !== known.startsUnread ||
      isTarget !== this.props.isTarget
    )
  }

  override render({ row, place, isTarget, onQuote }: RowProps) {
    const { message, startsDay, startsGroup, startsUnread } = row
    const { seq, from, at, text } = message
    return (
      <>
        {startsDay && (
          <h2 class="day">
            <span>{dayLabel(at)}</span>
          </h2>
        )}
        {startsUnread && <p class="new">New</p>}
        <article
          class={startsGroup ? 'message starts' : 'message'}
          data-seq={seq}
          data-target={isTarget}
          tabIndex={-1}
          aria-label={`${from.name}, message ${seq}`}
        >
          <a class="seq" href={hrefOf(place, seq)} tabIndex={-1} title={`Link to message ${seq}`}>
            {seq}
          </a>
          {startsGroup && (
            <header>
              <Author id={from.id} name={from.name} />
              <Time at={at} />
            </header>
          )}
          <Text text={text} />
          <button class="quote" type="button" tabIndex={-1} onClick={() => onQuote(text)}>
            Quote
          </button>
        </article>
      </>
    )
  }
}

function Author({ id, name }: { id: string; name: string }) {
  return (
    <a class={`author c${colourOf(id)}`} href={hrefOf({ user: id })} tabIndex={-1}>
      <bdi>{name}</bdi>
    </a>
  )
}

function colourOf(id: string): number {
  let sum = 0
  for (let i = 0; i < id.length; i++) sum = (sum * 31 + id.charCodeAt(i)) % 9_973
  return sum % COLOURS
}

function Text({ text }: { text: string }) {
  const [whole, setWhole] = useState(false)
  const long =
    text.length > FOLDED_CHARS || text.split('\n', FOLDED_LINES + 1).length > FOLDED_LINES
  return (
    <>
      <div class={long && !whole ? 'text folded' : 'text'} dir="auto">
        <Markdown text={text} />
      </div>
      {long && (
        <button class="fold" type="button" onClick={() => setWhole(!whole)}>
          {whole ? 'Show less' : 'Show all of it'}
        </button>
      )}
    </>
  )
}

export function PendingRow({ post, isOffline }: { post: Post; isOffline: boolean }) {
  const { state, text, error } = post
  return (
    <article class="message pending" data-state={state} aria-label="Your message">
      <div class="text" dir="auto">
        <Markdown text={text} />
      </div>
      <footer>
        {state === 'failed' ? (
          <>
            <span class="fault">Not sent. {error && sentence(error)}</span>
            <button type="button" onClick={() => post.retry()}>
              Retry
            </button>
            <button type="button" onClick={() => post.discard()}>
              Discard
            </button>
          </>
        ) : (
          <span>{waitingFor(isOffline, error)}</span>
        )}
      </footer>
    </article>
  )
}

function waitingFor(isOffline: boolean, error: ParleyError | undefined): string {
  if (isOffline) return 'Will be sent once you are connected.'
  return error === undefined || error.status === 0 ? 'Sending…' : `Trying again. ${sentence(error)}`
}
