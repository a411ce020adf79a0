/** A conversation to take pictures of: who says what to whom, and when. */

export interface Line {
  /** The room's name; without one it is said to the one who looks, directly. */
  in?: string
  from: string
  /** In milliseconds since the Unix epoch. */
  at: number
  text: string
}

/** The moment of the pictures. */
export const NOW = Date.UTC(2026, 4, 12, 9, 41)

/** The first one is the one who looks. */
export const PEOPLE = ['ada', 'bob', 'cleo', 'dmitri', 'esther'] as const

/** The first one is on the pictures. */
export const ROOMS = [
  'Harbour office',
  'Boats for hire',
  'Kitchen',
  'Reading club',
  'Weather',
] as const

type Said = [time: string, from: (typeof PEOPLE)[number], text: string]

function lines(
  room: (typeof ROOMS)[number] | undefined,
  day: string,
  said: readonly Said[],
): Line[] {
  return said.map(([time, from, text]) => ({
    ...(room !== undefined && { in: room }),
    from,
    at: Date.parse(`${day}T${time}:00Z`),
    text,
  }))
}

const TIDES = [
  'Good morning! The tide table for this week:\n',
  '| day | high | low |',
  '|---|---|---|',
  '| Tue | 10:12 | 16:25 |',
  '| Wed | 11:04 | 17:16 |',
].join('\n')

/** Read already when the picture is taken. */
export const EARLIER: Line[] = [
  ...lines('Boats for hire', '2026-05-11', [
    ['14:02', 'esther', 'The *Heron* is back in the water.'],
  ]),
  ...lines('Kitchen', '2026-05-11', [['12:30', 'bob', 'There is soup.']]),
  ...lines('Reading club', '2026-05-10', [['20:15', 'cleo', 'Chapter nine for Thursday, then.']]),
  ...lines('Weather', '2026-05-11', [['06:00', 'dmitri', 'Fog until ten, then clear.']]),
  ...lines('Harbour office', '2026-05-11', [
    ['16:20', 'cleo', 'Berth 14 leaks again. I put a bucket under it, and a note on the bucket.'],
    ['16:22', 'dmitri', 'What does the note say?'],
    ['16:22', 'cleo', '“Do not move the bucket.”'],
    ['16:41', 'bob', 'I moved the bucket. I am sorry. I have moved it back.'],
  ]),
  ...lines('Harbour office', '2026-05-12', [
    ['08:55', 'esther', TIDES],
    [
      '09:02',
      'ada',
      'Thank you. So the *Heron* can leave at **10:12**, if somebody finds her rudder.',
    ],
    ['09:04', 'bob', '> if somebody finds her rudder\n\nIt is in the kitchen. Long story.'],
    ['09:05', 'bob', 'Short version: `soup`.'],
  ]),
]

/** What has come since. */
export const LATER: Line[] = [
  ...lines('Boats for hire', '2026-05-12', [
    ['09:12', 'esther', 'Two for Saturday?'],
    ['09:15', 'dmitri', 'Two for Saturday.'],
    ['09:20', 'esther', 'Make it three.'],
  ]),
  ...lines('Weather', '2026-05-12', [
    ['09:00', 'dmitri', 'Clear, and it stays so. Wind 3, south-west.'],
  ]),
  ...lines('Harbour office', '2026-05-12', [
    ['09:30', 'dmitri', 'Before you sail:\n\n1. rudder\n2. flag\n3. *not* the soup'],
    [
      '09:33',
      'cleo',
      'The inspector comes at noon. Her list is at https://harbour.example/inspection',
    ],
    ['09:38', 'esther', 'Berth 14 is dry!'],
    ['09:40', 'bob', 'Because the bucket is full.'],
  ]),
  ...lines(undefined, '2026-05-12', [
    ['09:21', 'esther', 'Are you free on Saturday?'],
    ['09:36', 'dmitri', 'It was not my soup.'],
    ['09:37', 'dmitri', 'Ask anyone.'],
  ]),
]
