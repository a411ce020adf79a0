/** Opening a room. */
import { useState } from 'preact/hooks'
import { Dialog } from './dialog.tsx'
import { sentence } from './faults.ts'
import { go, hrefOf } from './places.ts'
import type { Signed } from './signed.ts'

export function NewRoom({ app, onClose }: { app: Signed; onClose: () => void }) {
  const [fault, setFault] = useState<string>()
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget as HTMLFormElement)
    try {
      const room = await app.client.createRoom(String(form.get('name')).trim())
      app.conversations.addRoom(room)
      onClose()
      go(hrefOf({ room: room.id }))
    } catch (error) {
      setFault(sentence(error))
    }
  }
  return (
    <Dialog title="New room" onClose={onClose}>
      <form onSubmit={submit}>
        <h2>New room</h2>
        <p>Everyone here can read it and write in it.</p>
        <label>
          Room name
          <input name="name" required maxLength={80} autofocus autocomplete="off" />
        </label>
        {fault !== undefined && <p role="alert">{fault}</p>}
        <div class="buttons">
          <button type="button" class="quiet" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Create
          </button>
        </div>
      </form>
    </Dialog>
  )
}
