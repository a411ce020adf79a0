/** The list of conversations, with a search, and one's own menu at its foot. */
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import type { PersonItem, RoomItem } from './conversations.ts'
import { AccountMenu } from './menu.tsx'
import { NewRoom } from './new-room.tsx'
import { hrefOf, keyOf, type Route } from './places.ts'
import { useSearch } from './search.ts'
import { useChanges } from './signal.ts'
import type { Signed } from './signed.ts'

/** Rooms listed; to see others, one searches. */
const ROOMS_SHOWN = 200

interface Props {
  app: Signed
  route: Route
  onSwitch: () => void
}

export function Sidebar({ app, route, onSwitch }: Props) {
  const [search, setSearch] = useState('')
  const [opening, setOpening] = useState(false)
  return (
    <aside class="sidebar">
      <header>
        <span class="brand">Parley</span>
      </header>
      <div class="search">
        <input
          type="search"
          aria-label="Search rooms and people"
          placeholder="Search"
          value={search}
          onInput={(event) => setSearch(event.currentTarget.value)}
          onKeyDown={(event) => event.key === 'Escape' && setSearch('')}
        />
        <button type="button" class="keys" onClick={onSwitch} aria-label="Go to, Ctrl K">
          <kbd>Ctrl</kbd> <kbd>K</kbd>
        </button>
      </div>
      <Lists app={app} route={route} search={search} onNewRoom={() => setOpening(true)} />
      <AccountMenu app={app} />
      {opening && <NewRoom app={app} onClose={() => setOpening(false)} />}
    </aside>
  )
}

interface ListsProps {
  app: Signed
  route: Route
  search: string
  onNewRoom: () => void
}

function Lists({ app, route, search, onNewRoom }: ListsProps) {
  const { conversations } = app
  useChanges(conversations)
  const found = useSearch(app, search)
  const wanted = search.trim().toLowerCase()
  const rooms = conversations.rooms.filter(({ name }) => name.toLowerCase().includes(wanted))
  const people = wanted === '' ? conversations.people : found
  const current = route.page === 'talk' ? keyOf(route.place) : undefined
  return (
    <nav aria-label="Conversations">
      <Section
        title="Rooms"
        action={
          <button type="button" class="add" onClick={onNewRoom} aria-label="New room">
            +
          </button>
        }
      >
        <Items items={rooms.slice(0, ROOMS_SHOWN)} current={current} mark="room" />
        {rooms.length > ROOMS_SHOWN && (
          <p class="hint">and {rooms.length - ROOMS_SHOWN} more: search for them by name</p>
        )}
        {rooms.length === 0 && conversations.loaded && (
          <p class="hint">{wanted === '' ? 'No rooms yet. Open the first.' : 'No such room.'}</p>
        )}
      </Section>
      <Section title="People">
        <Items items={people} current={current} mark="person" />
        {people.length === 0 && (
          <p class="hint">
            {wanted === '' ? 'Search for a name to write to someone.' : 'Nobody of that name.'}
          </p>
        )}
      </Section>
    </nav>
  )
}

interface SectionProps {
  title: string
  action?: ComponentChildren
  children: ComponentChildren
}

function Section({ title, action, children }: SectionProps) {
  return (
    <section>
      <h2>
        {title}
        {action}
      </h2>
      {children}
    </section>
  )
}

interface ItemsProps {
  items: readonly (RoomItem | PersonItem)[]
  current: string | undefined
  mark: 'room' | 'person'
}

const UNREAD_SHOWN_MAX = 99

function Items({ items, current, mark }: ItemsProps) {
  return (
    <ul>
      {items.map(({ place, name, unread }) => (
        <li key={keyOf(place)}>
          <a
            href={hrefOf(place)}
            class={unread > 0 ? `item ${mark} has-unread` : `item ${mark}`}
            aria-current={keyOf(place) === current ? 'page' : undefined}
          >
            <bdi>{name}</bdi>
            {unread > 0 && (
              <span class="unread">
                {unread > UNREAD_SHOWN_MAX ? `${UNREAD_SHOWN_MAX}+` : unread}
                <span class="hidden"> unread</span>
              </span>
            )}
          </a>
        </li>
      ))}
    </ul>
  )
}
