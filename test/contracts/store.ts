/**
 * The contract of `src/store/store.ts` as a test suite that every backend runs: what is appended in
 * `store-append.ts` and `store-events.ts`, lists and look-ups in `store-records.ts` and
 * `store-sessions.ts`, and random batches against a model in `store-model.ts`.
 */
import { describe } from 'bun:test'
import { testAppend } from './store-append.ts'
import { testEvents } from './store-events.ts'
import type { MakeStoreHome } from './store-home.ts'
import { testModel } from './store-model.ts'
import { testRecords } from './store-records.ts'
import { testSessions } from './store-sessions.ts'

export type { MakeStoreHome, StoreHome } from './store-home.ts'

export function storeContract(backend: string, makeHome: MakeStoreHome): void {
  describe(`${backend} keeps the contract of a store`, () => {
    testEventsOf(makeHome)
    testRecords(makeHome)
    testSessions(makeHome)
  })
}

/** For one that keeps nothing but events in another way than one that is tried whole. */
export function eventsContract(backend: string, makeHome: MakeStoreHome): void {
  describe(`${backend} keeps the contract of a store, as to events`, () => testEventsOf(makeHome))
}

/** For one that only reads events in another way. */
export function readingContract(backend: string, makeHome: MakeStoreHome): void {
  describe(`${backend} keeps the contract of a store, as to what is read`, () => {
    testEvents(makeHome)
    testModel(makeHome)
  })
}

function testEventsOf(makeHome: MakeStoreHome): void {
  testAppend(makeHome)
  testEvents(makeHome)
  testModel(makeHome)
}
