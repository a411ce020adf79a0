/** One conversation: its name, what was said, and where one writes. */
import { useEffect, useLayoutEffect, useMemo, useState } from 'preact/hooks'
import type { Message, Timeline, TimelineWindow } from '../../client'
import { Back } from '../back.tsx'
import { sentence } from '../faults.ts'
import { hrefOf, keyOf, type TalkPlace } from '../places.ts'
import { useChanges } from '../signal.ts'
import type { Signed } from '../signed.ts'
import { useStatus } from '../status.tsx'
import { Composer } from './composer.tsx'
import { JumpToDate } from './jump.tsx'
import { MessageList } from './list.tsx'

/** Messages in memory, and at most in the page. */
const MESSAGES_MAX = 300
/** Texts that ↑ brings back. */
const SENT_MAX = 50

interface Props {
  app: Signed
  place: TalkPlace
  /** The message that the address names. */
  seq: number | undefined
}

/** To be keyed by the place: another place is another component. */
export function Talk({ app, place, seq }: Props) {
  const timeline = useMemo(() => timelineOf(app, place), [])
  const window = useMemo(
    () => timeline.open({ eventsMax: MESSAGES_MAX, ...(seq !== undefined && { around: seq }) }),
    [],
  )
  const fault = useVisit(app, place)
  const [quoted, setQuoted] = useState<{ text: string }>()
  useEffect(() => () => window.close(), [])
  useChanges(app.conversations)
  const status = useStatus(app.client)
  useJumps(window, seq)
  const unreadAfter = useUnreadAfter(app, place, window)
  const name = app.conversations.nameOf(place) ?? ''
  const isOwn = 'user' in place && place.user === app.me.id
  const title = isOwn ? `${name} (you)` : name
  return (
    <main class="talk">
      <header class="bar">
        <Back />
        <h1 class={'room' in place ? 'room' : 'person'}>
          <bdi>{title}</bdi>
        </h1>
        <JumpToDate timeline={timeline} place={place} window={window} />
      </header>
      {fault !== undefined && <p role="alert">{fault}</p>}
      <Loading window={window} />
      <MessageList
        window={window}
        place={place}
        target={seq}
        unreadAfter={unreadAfter}
        isOffline={status.state === 'offline'}
        onQuote={(text) => setQuoted({ text })}
        onRead={(last) => app.conversations.markRead(place, last)}
      />
      <Writing app={app} place={place} title={title} timeline={timeline} quoted={quoted} />
    </main>
  )
}

function timelineOf({ client }: Signed, place: TalkPlace): Timeline<Message> {
  return 'room' in place ? client.room(place.room) : client.user(place.user)
}

/** Tells the sidebar; a fault if there is no such place. */
function useVisit(app: Signed, place: TalkPlace): string | undefined {
  const [fault, setFault] = useState<string>()
  useEffect(() => {
    app.conversations.visit(place).catch((error) => setFault(sentence(error)))
  }, [])
  return fault
}

/** Another message of the same conversation was named in the address. */
function useJumps(window: TimelineWindow<Message>, seq: number | undefined): void {
  useEffect(() => {
    if (seq === undefined || window.state !== 'ready') return
    if (window.events.some((event) => event.seq === seq)) return
    window.jumpTo(seq).catch(() => {})
  }, [seq])
}

/** How far it was read when it was opened, if there was more; it stays while one looks at it. */
function useUnreadAfter(
  app: Signed,
  place: TalkPlace,
  window: TimelineWindow<Message>,
): number | undefined {
  const [mark] = useState(() => app.kept.readMark(place))
  const [head, setHead] = useState<number>()
  useEffect(() => {
    const note = () => window.state === 'ready' && setHead((known) => known ?? window.head)
    note()
    return window.onChange(note)
  }, [])
  return mark !== undefined && head !== undefined && mark < head ? mark : undefined
}

function Loading({ window }: { window: TimelineWindow<Message> }) {
  const [state, setState] = useState(window.state)
  // Before the first page can come: who listens later says for ever that it is being read.
  useLayoutEffect(() => window.onChange(() => setState(window.state)), [])
  if (state === 'ready') return null
  if (state === 'loading') return <p class="loading">Reading…</p>
  return (
    <p class="loading" role="alert">
      {window.error === undefined ? 'This could not be read.' : sentence(window.error)}{' '}
      <button type="button" onClick={() => window.reload().catch(() => {})}>
        Try again
      </button>
    </p>
  )
}

interface WritingProps {
  app: Signed
  place: TalkPlace
  title: string
  timeline: Timeline<Message>
  quoted: { text: string } | undefined
}

/** Sent texts by place, for ↑; they last as long as the page. */
const sentTexts = new Map<string, string[]>()

function Writing({ app, place, title, timeline, quoted }: WritingProps) {
  const [fault, setFault] = useState<string>()
  const key = keyOf(place)
  const sent = sentTexts.get(key) ?? []
  const send = (text: string) => {
    try {
      timeline.post(text)
      setFault(undefined)
    } catch (error) {
      return setFault(sentence(error))
    }
    sentTexts.set(key, [...sent, text].slice(-SENT_MAX))
    if ('user' in place) app.conversations.addPerson({ id: place.user, name: title })
    if (location.hash !== hrefOf(place)) location.hash = hrefOf(place)
  }
  return (
    <>
      {fault !== undefined && <p role="alert">{fault}</p>}
      <Composer
        title={title}
        draft={app.kept.draft(place)}
        onDraft={(text) => app.kept.saveDraft(place, text)}
        onSend={send}
        sent={sent}
        quoted={quoted}
      />
    </>
  )
}
