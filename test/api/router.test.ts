/** Method and path → operation. */
import { describe, expect, test } from 'bun:test'
import { createOperations } from '../../src/api/operations.ts'
import { Router } from '../../src/api/router.ts'
import { requestSchemas } from '../../src/api/schema.ts'
import { defaultConfig } from '../../src/config.ts'
import { codeOf, thrownBy } from './codes.ts'

const operations = createOperations(requestSchemas(defaultConfig()))
const router = new Router(operations)

test('every operation is found at its own path, with its parameters', () => {
  for (const operation of operations) {
    const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!)
    const path = names.reduce((at, name) => at.replace(`{${name}}`, `some-${name}`), operation.path)
    const { operation: found, params } = router.find(operation.method, path)
    expect(found.name).toBe(operation.name)
    expect(params).toEqual(Object.fromEntries(names.map((name) => [name, `some-${name}`])))
  }
})

test('no two operations share method and path', () => {
  const places = operations.map(({ method, path }) => `${method} ${path.replace(/\{\w+\}/g, '{}')}`)
  expect(new Set(places).size).toBe(places.length)
})

test('HEAD finds what GET finds', () => {
  expect(router.find('HEAD', '/me').operation.name).toBe('getMe')
  expect(codeOf(() => router.find('HEAD', '/session'))).toBe('method_not_allowed')
})

test('a method the path does not know is told which ones it does', () => {
  const refused = thrownBy(() => router.find('PUT', '/room/r1/messages'))
  expect(refused).toMatchObject({ code: 'method_not_allowed', status: 405 })
  expect(refused?.options.headers).toEqual({ Allow: 'GET, POST' })
  expect(router.methods('/room/r1/messages')).toEqual(['GET', 'POST'])
  expect(router.methods('/nowhere')).toEqual([])
})

describe('nothing is found', () => {
  test.each([
    ['at the root', '/'],
    ['where nothing is', '/nowhere'],
    ['with a slash at the end', '/rooms/'],
    ['with two slashes', '//rooms'],
    ['without its parameter', '/room/'],
    ['with an empty parameter', '/room//messages'],
    ['beyond an end', '/room/r1/messages/1/2'],
    ['in other letters', '/Rooms'],
    ['with the parameter’s own name', '/room/{roomId}/nothing'],
  ])('%s', (_, path) => {
    expect(codeOf(() => router.find('GET', path))).toBe('no_such_path')
  })
})
