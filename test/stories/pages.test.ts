/** History reads the same whether or not somebody follows the room. */
import { expect, test } from 'bun:test'
import { type Message, signUp } from '../harness.ts'
import { Socket } from '../live.ts'
import { onEachBackend } from '../services/backends.ts'

const POSTS = 30

await onEachBackend((start) => {
  test('pages of a room that is followed are those of one that is not', async () => {
    const server = await start()
    try {
      const ada = await signUp(server.url)
      const room = await ada.createRoom()
      const place = `/room/${room.id}`
      for (let i = 0; i < POSTS; i++) await ada.post(place, `number ${i} "quoted" 😀`)
      const queries = ['', '?limit=7', '?limit=1000']
      for (const seq of [1, 2, 15, POSTS, POSTS + 1, POSTS + 5])
        for (const limit of [1, 6, POSTS])
          for (const cursor of ['before', 'after', 'around'])
            queries.push(`?${cursor}=${seq}&limit=${limit}`)
      const pages = () =>
        Promise.all(queries.map((query) => ada.get<Message[]>(`${place}/messages${query}`)))
      const unfollowed = await pages()
      const socket = await Socket.of(ada)
      await socket.ask('subscribe', { room: room.id, after: 0 })
      await socket.events.count(POSTS)
      expect(await pages()).toEqual(unfollowed)
      expect(unfollowed[2]).toHaveLength(POSTS)
      const { seq } = await ada.post(place, 'one more')
      const [newest] = await ada.get<Message[]>(`${place}/messages?limit=1`)
      expect([newest?.seq, newest?.text, newest?.room]).toEqual([seq, 'one more', room.id])
      expect(await ada.get<Message>(`${place}/messages/${seq}`)).toEqual(newest!)
      socket.close()
    } finally {
      await server.stopAndForget()
    }
  })
})
