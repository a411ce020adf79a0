/**
 * What a load needs before it begins: accounts, sign-ins, a room. Not measured, so plain `fetch`.
 */

/** Enough that no single session is special; each costs two password hashes. */
const USERS = 8
/** Of everyone who is signed up here. */
export const PASSWORD = 'correct horse battery staple'

/** Signs up users and returns their tokens. */
export function signUpUsers(url: string, count = USERS): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => signUp(url, `bench-${i}`)))
}

async function signUp(url: string, name: string): Promise<string> {
  const account = { name, password: PASSWORD }
  await send(`${url}/users`, { method: 'POST', json: account })
  const { token } = await send<{ token: string }>(`${url}/sessions`, {
    method: 'POST',
    json: account,
  })
  return token
}

/** Returns the ids of as many rooms. */
export async function createRooms(url: string, token: string, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let i = 0; i < count; i++) {
    const json = { name: `bench ${i}` }
    const { id } = await send<{ id: string }>(`${url}/rooms`, { method: 'POST', token, json })
    ids.push(id)
  }
  return ids
}

/** The seq of each room's last message, by the room's id, as the server tells it. */
export async function readHeads(url: string, token: string): Promise<Map<string, number>> {
  const rooms = await send<{ id: string; head: number }[]>(`${url}/rooms`, { token })
  return new Map(rooms.map(({ id, head }) => [id, head]))
}

async function send<T>(
  url: string,
  { method = 'GET', token = '', json }: { method?: string; token?: string; json?: unknown },
): Promise<T> {
  const response = await fetch(url, {
    method,
    headers: {
      ...(token !== '' && { authorization: `Bearer ${token}` }),
      ...(json !== undefined && { 'content-type': 'application/json' }),
    },
    ...(json !== undefined && { body: JSON.stringify(json) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${response.status} from ${method} ${url}: ${text}`)
  return JSON.parse(text)
}
