/** Ctrl-K: to any room or person by a few letters of the name. */
import { useState } from 'preact/hooks'
import type { PersonItem, RoomItem } from './conversations.ts'
import { Dialog } from './dialog.tsx'
import { go, hrefOf, keyOf } from './places.ts'
import { useSearch } from './search.ts'
import type { Signed } from './signed.ts'

const SHOWN = 12

export function Switcher({ app, onClose }: { app: Signed; onClose: () => void }) {
  const [text, setText] = useState('')
  const [at, setAt] = useState(0)
  const found = useSearch(app, text)
  const { rooms, people } = app.conversations
  const items = matching(text, rooms, text.trim() === '' ? people : found)

  const choose = (item: RoomItem | PersonItem | undefined) => {
    if (item === undefined) return
    onClose()
    go(hrefOf(item.place))
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step !== undefined) setAt((at + step + items.length) % Math.max(1, items.length))
    else if (event.key === 'Enter') choose(items[at])
    else return
    event.preventDefault()
  }
  return (
    <Dialog title="Go to" onClose={onClose}>
      <div class="switcher">
        <input
          role="combobox"
          aria-label="Go to"
          aria-expanded="true"
          aria-controls="switcher-items"
          aria-activedescendant={items.length > 0 ? `switcher-${at}` : undefined}
          placeholder="A room or a person"
          autocomplete="off"
          autofocus
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value)
            setAt(0)
          }}
          onKeyDown={onKeyDown}
        />
        <div id="switcher-items" role="listbox" aria-label="Rooms and people">
          {items.map((item, i) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the input keeps the focus and the keys
            <div
              key={keyOf(item.place)}
              id={`switcher-${i}`}
              role="option"
              tabIndex={-1}
              class={'room' in item.place ? 'item room' : 'item person'}
              aria-selected={i === at}
              onClick={() => choose(item)}
            >
              <bdi>{item.name}</bdi>
              {item.unread > 0 && <span class="unread">{item.unread}</span>}
            </div>
          ))}
        </div>
        {items.length === 0 && <p class="hint">Nothing of that name.</p>}
      </div>
    </Dialog>
  )
}

/** Names that begin so come before those that only contain it; unread ones first among equals. */
function matching(text: string, rooms: RoomItem[], people: PersonItem[]) {
  const wanted = text.trim().toLowerCase()
  const rank = ({ name, unread }: RoomItem | PersonItem) =>
    (name.toLowerCase().startsWith(wanted) ? 0 : 2) + (unread > 0 ? 0 : 1)
  return [...people, ...rooms]
    .filter(({ name }) => name.toLowerCase().includes(wanted))
    .sort((one, other) => rank(one) - rank(other))
    .slice(0, SHOWN)
}
