/** Whichever way passwords are hashed, the other way reads it: a database may move house. */
import { expect, test } from 'bun:test'
import { loadHasher, loadNative, runtimeHasher } from '../../src/chat/argon2.ts'

const native = (await loadNative())!
const PASSWORDS = ['correct horse battery staple', 'käse 🦜', 'x'.repeat(256), ' ', 'a\0b']

test('where the package is installed whole, it is what hashes', async () => {
  expect((await loadHasher()).isNative).toBe(true)
})

test.each(PASSWORDS)('what one of them hashes, both verify: %j', (password) => {
  for (const maker of [native, runtimeHasher])
    for (const reader of [native, runtimeHasher]) {
      const made = maker.hash(password)
      expect(made).toStartWith('$argon2id$v=19$m=19456,t=2,p=1$')
      expect(made).toHaveLength(native.hash('other').length)
      expect(reader.verify(made, password)).toBe(true)
      expect(reader.verify(made, `${password}x`)).toBe(false)
    }
})

test('each hash has a salt of its own', () => {
  for (const one of [native, runtimeHasher]) expect(one.hash('same')).not.toBe(one.hash('same'))
})

test('costs and lengths are those that stand in the hash', () => {
  const cheap =
    '$argon2id$v=19$m=64,t=3,p=2$9n7RNlHa/nJyHpZjywsL3Q$fHBxyMbgS8Z7wNo98pep8Ia9QvwdoiTQ'
  for (const one of [native, runtimeHasher]) {
    expect(one.verify(cheap, 'password')).toBe(true)
    expect(one.verify(cheap.replace('t=3', 't=2'), 'password')).toBe(false)
  }
})

test.each(['', 'plain', '$argon2id$v=19$m=64$AAAA$AAAA'])(
  'what is no hash of it is refused by both: %j',
  (hash) => {
    for (const one of [native, runtimeHasher]) expect(() => one.verify(hash, 'password')).toThrow()
  },
)
