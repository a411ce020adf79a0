/** To the first message of a day. The log has no index by time: its times only ever grow. */
import { useState } from 'preact/hooks'
import type { Message, Timeline, TimelineWindow } from '../../client'
import { Dialog } from '../dialog.tsx'
import { sentence } from '../faults.ts'
import { go, hrefOf, type TalkPlace } from '../places.ts'
import { dayOf } from '../times.ts'

interface Props {
  timeline: Timeline<Message>
  place: TalkPlace
  window: TimelineWindow<Message>
}

export function JumpToDate(props: Props) {
  const [open, setOpen] = useState(false)
  return (
    <>
      <button type="button" class="quiet jump" onClick={() => setOpen(true)}>
        Jump to date
      </button>
      {open && <DateDialog {...props} onClose={() => setOpen(false)} />}
    </>
  )
}

function DateDialog({ timeline, place, window, onClose }: Props & { onClose: () => void }) {
  const [fault, setFault] = useState<string>()
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget as HTMLFormElement)
    try {
      // Midnight where the reader is.
      const seq = await timeline.findSeq(new Date(`${form.get('date')}T00:00`))
      onClose()
      go(hrefOf(place, Math.max(1, Math.min(seq, window.head))))
    } catch (error) {
      setFault(sentence(error))
    }
  }
  return (
    <Dialog title="Jump to date" onClose={onClose}>
      <form onSubmit={submit}>
        <h2>Jump to date</h2>
        <label>
          Date
          <input type="date" name="date" required max={dayOf(Date.now())} autofocus />
        </label>
        {fault !== undefined && <p role="alert">{fault}</p>}
        <div class="buttons">
          <button type="button" class="quiet" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Go
          </button>
        </div>
      </form>
    </Dialog>
  )
}
