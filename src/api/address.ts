/**
 * Whom rates are held against when nobody is signed in. Somebody with IPv6 has a whole network of
 * addresses, 2^64 of them, and could take a new one for each attempt: so the network counts.
 */
import { isIPv6 } from 'node:net'

/** Longer than any address; what is no address is not kept whole. */
const ADDRESS_CHARS_MAX = 64

/**
 * An IPv4 address as it is, also out of IPv6's form for it; of an IPv6 address its first 64 bits.
 * Takes what proxies write: with a port, in brackets. Anything else is cut to a bounded length.
 */
export function networkOf(address: string): string {
  const bare = /^\[(.*)\](:\d+)?$/.exec(address)?.[1] ?? address.replace(/^([\d.]+):\d+$/, '$1')
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1]
  if (mapped !== undefined) return mapped
  return isIPv6(bare) ? `${prefixOf(bare)}::/64` : bare.slice(0, ADDRESS_CHARS_MAX)
}

function prefixOf(address: string): string {
  // An IPv4 address at the end stands for two groups; which ones does not matter here.
  const [before = '', after] = address.replace(/[\d.]+\.\d+$/, '0:0').split('::')
  const first = before === '' ? [] : before.split(':')
  const last = after ? after.split(':') : []
  const zeros = after === undefined ? [] : Array(8 - first.length - last.length).fill('0')
  const groups = [...first, ...zeros, ...last].slice(0, 4)
  return groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')
}
