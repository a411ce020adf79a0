/** Where one writes. Enter sends, Shift+Enter breaks, ↑ brings back what one wrote last. */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'

/** As the server counts, in bytes of UTF-8; its setting may be another, then it says so. */
const TEXT_BYTES_MAX = 16_384
/** From here on one is told how much room is left. */
const ROOM_TOLD_BYTES = 1_024

export interface ComposerProps {
  /** For the placeholder and for screen readers. */
  title: string
  draft: string
  onDraft: (text: string) => void
  onSend: (text: string) => void
  /** Texts sent before, the latest last. */
  sent: readonly string[]
  /** A text to quote; a new object each time. */
  quoted: { text: string } | undefined
}

const encoder = new TextEncoder()

export function Composer({ title, draft, onDraft, onSend, sent, quoted }: ComposerProps) {
  const area = useRef<HTMLTextAreaElement>(null)
  const { text, change, write, recalled, recall } = useText(draft, onDraft, sent)
  const left = TEXT_BYTES_MAX - encoder.encode(text).length
  const sendable = left >= 0 && /[^\p{C}\p{Z}]/u.test(text)

  const send = () => {
    if (!sendable) return
    onSend(text)
    write('')
    area.current?.focus()
  }
  useGrowing(area, text)
  useEffect(() => {
    if (matchMedia('(pointer: fine)').matches) area.current?.focus()
  }, [])
  useEffect(() => {
    if (quoted === undefined) return
    change(`${quote(quoted.text)}\n\n${text}`)
    area.current?.focus()
  }, [quoted])

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing) return
    if (event.key === 'Enter' && !event.shiftKey) send()
    else if (event.key === 'ArrowUp' && (text === '' || recalled > 0)) recall(1)
    else if (event.key === 'ArrowDown' && recalled > 0) recall(-1)
    else return
    event.preventDefault()
  }
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault()
        send()
      }}
    >
      <textarea
        ref={area}
        rows={1}
        aria-label="Message"
        placeholder={`Write to ${title}`}
        dir="auto"
        value={text}
        onInput={(event) => write(event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      {left < ROOM_TOLD_BYTES && (
        <span class={left < 0 ? 'room fault' : 'room'} role="note">
          {left < 0 ? `${-left} bytes too long` : `${left} bytes left`}
        </span>
      )}
      <button type="submit" class="send" disabled={!sendable}>
        Send
      </button>
    </form>
  )
}

/** What stands in the area: written by hand, or brought back from what was sent before. */
function useText(draft: string, onDraft: (text: string) => void, sent: readonly string[]) {
  const [text, setText] = useState(draft)
  /** How far back; 0 is what is being written. */
  const [recalled, setRecalled] = useState(0)
  const change = (next: string) => {
    setText(next)
    onDraft(next)
  }
  const write = (next: string) => {
    setRecalled(0)
    change(next)
  }
  const recall = (by: number) => {
    const at = Math.min(Math.max(recalled + by, 0), sent.length)
    setRecalled(at)
    change(at === 0 ? '' : sent.at(-at)!)
  }
  return { text, change, write, recalled, recall }
}

/** The area is as high as its text; its style sets a limit. */
function useGrowing(area: { current: HTMLTextAreaElement | null }, text: string): void {
  useLayoutEffect(() => {
    const element = area.current
    if (element === null) return
    element.style.height = 'auto'
    element.style.height = `${element.scrollHeight}px`
  }, [text])
}

function quote(text: string): string {
  return text
    .split('\n')
    .map((line) => `> ${line}`)
    .join('\n')
}
