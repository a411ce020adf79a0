/** Accounts: who there is. */
import type { Clock } from '../clock.ts'
import { problem } from '../errors.ts'
import type { NamePage, Store } from '../store/store.ts'
import type { Id, User } from '../types.ts'
import { Cache } from './cache.ts'
import { isId, newUserId } from './ids.ts'
import type { Passwords } from './passwords.ts'

export class Users {
  readonly #store: Store
  readonly #passwords: Passwords
  readonly #clock: Clock
  readonly #known: Cache<User>

  constructor(options: { store: Store; passwords: Passwords; clock: Clock; cachedMax: number }) {
    this.#store = options.store
    this.#passwords = options.passwords
    this.#clock = options.clock
    this.#known = new Cache(options.cachedMax, (id) => this.#store.findUser(id))
  }

  /** Makes an account; does not sign in. Throws `name_taken`, `overloaded`. */
  async signUp(name: string, password: string): Promise<User> {
    // Before the hash, which costs a thousand times as much as this look.
    if ((await this.#store.findAccount(name)) !== undefined) throw problem('name_taken')
    const passwordHash = await this.#passwords.hash(password)
    const user: User = { id: newUserId(), name, createdAt: this.#clock.now() }
    if (!(await this.#store.createUser({ ...user, passwordHash }))) throw problem('name_taken')
    this.#known.set(user.id, user)
    return user
  }

  /**
   * The account if name and password fit, else throws the same `wrong_credentials` in the same
   * time. Throws `overloaded`, and then costs no look at the store: in a rush most are refused.
   */
  async verify(name: string, password: string): Promise<User> {
    this.#passwords.checkRoom()
    const account = await this.#store.findAccount(name)
    const fits = await this.#passwords.verify(account?.passwordHash, password)
    if (!fits || account === undefined) throw problem('wrong_credentials')
    return { id: account.id, name: account.name, createdAt: account.createdAt }
  }

  /** The one object that stands for this user in memory: many sessions may have the same. */
  keep(user: User): User {
    return this.#known.keep(user.id, user)
  }

  /** At once if known. */
  find(id: Id): User | undefined | Promise<User | undefined> {
    return isId(id) ? this.#known.find(id) : undefined
  }

  async get(id: Id): Promise<User> {
    const user = await this.find(id)
    if (user === undefined) throw problem('no_such_user')
    return user
  }

  list(page: NamePage): Promise<User[]> {
    return this.#store.listUsers(page)
  }
}
