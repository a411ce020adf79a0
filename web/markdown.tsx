/**
 * A message's text as the page shows it. Marked reads the Markdown; we make the elements from its
 * tokens, so no HTML is ever parsed: what looks like a tag is shown as the text that it is.
 */
import { Lexer, type Token, type Tokens } from 'marked'
import { type ComponentChildren, Fragment } from 'preact'

/** Quotes and lists inside each other; deeper ones are shown as text. */
const NESTING_MAX = 8
/** Longer texts are not worth the parsing, or are made to hurt: shown as they are. */
const MARKDOWN_CHARS_MAX = 8_000

const OPTIONS = { gfm: true, breaks: true }

export function Markdown({ text }: { text: string }) {
  const tokens = text.length > MARKDOWN_CHARS_MAX ? undefined : read(text)
  // The style sheet keeps its line ends: elements for ten thousand of them would take a moment.
  if (tokens === undefined) return <p>{text}</p>
  return <Fragment>{blocks(tokens, 0)}</Fragment>
}

/** Undefined for what cannot be read: quotes in quotes by the thousand exhaust the stack. */
function read(text: string): Token[] | undefined {
  if (/^\s{0,3}(?:[>*+-]\s*){20}/m.test(text)) return undefined
  try {
    return Lexer.lex(text, OPTIONS)
  } catch {
    return undefined
  }
}

function blocks(tokens: readonly Token[], depth: number): ComponentChildren {
  return tokens.map((token, i) => <Block key={i} token={token} depth={depth} />)
}

function Block({ token, depth }: { token: Token; depth: number }) {
  if (depth > NESTING_MAX) return <p>{token.raw}</p>
  switch (token.type) {
    case 'space':
      return null
    case 'checkbox':
      return <>{token.checked ? '☑ ' : '☐ '}</>
    case 'paragraph':
      return <p>{inline(token.tokens, depth)}</p>
    case 'text':
      return <>{token.tokens ? inline(token.tokens, depth) : token.text}</>
    // A chat message is no document: its headings are lines with weight, not parts of the outline.
    case 'heading':
      return <p class="heading">{inline(token.tokens, depth)}</p>
    case 'code':
      return (
        <pre tabIndex={0}>
          <code>{token.text}</code>
        </pre>
      )
    case 'blockquote':
      return <blockquote>{blocks(token.tokens ?? [], depth + 1)}</blockquote>
    case 'list':
      return <List list={token as Tokens.List} depth={depth + 1} />
    case 'hr':
      return <hr />
    case 'table':
      return <Table table={token as Tokens.Table} depth={depth} />
    default:
      return <p>{token.raw.trimEnd()}</p>
  }
}

function List({ list, depth }: { list: Tokens.List; depth: number }) {
  const items = list.items.map((item, i) => <li key={i}>{blocks(item.tokens, depth)}</li>)
  return list.ordered ? <ol start={Number(list.start)}>{items}</ol> : <ul>{items}</ul>
}

function Table({ table, depth }: { table: Tokens.Table; depth: number }) {
  const cell = (one: Tokens.TableCell) => inline(one.tokens, depth)
  return (
    <section class="table" tabIndex={0} aria-label="Table">
      <table>
        <thead>
          <tr>
            {table.header.map((one, i) => (
              <th key={i}>{cell(one)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, i) => (
            <tr key={i}>
              {row.map((one, j) => (
                <td key={j}>{cell(one)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

function inline(tokens: readonly Token[] | undefined, depth: number): ComponentChildren {
  return tokens?.map((token, i) => <Inline key={i} token={token} depth={depth} />)
}

function Inline({ token, depth }: { token: Token; depth: number }) {
  if (depth > NESTING_MAX) return <>{token.raw}</>
  const inner = () => inline((token as Tokens.Generic).tokens, depth + 1)
  switch (token.type) {
    case 'strong':
      return <strong>{inner()}</strong>
    case 'em':
      return <em>{inner()}</em>
    case 'del':
      return <del>{inner()}</del>
    case 'codespan':
      return <code>{token.text}</code>
    case 'br':
      return <br />
    case 'link':
      return <Link href={token.href}>{inner()}</Link>
    // Nothing is loaded from elsewhere for a message: a picture is a link to it.
    case 'image':
      return <Link href={token.href}>{token.text || token.href}</Link>
    case 'escape':
      return <>{token.text}</>
    case 'text':
      return <>{token.tokens ? inner() : token.text}</>
    default:
      return <>{token.raw}</>
  }
}

/** Only addresses that lead somewhere else; a `javascript:` one stays text. */
function Link({ href, children }: { href: string; children: ComponentChildren }) {
  if (!/^(https?:\/\/|mailto:)/i.test(href) || !URL.canParse(href))
    return (
      <>
        {children} ({href})
      </>
    )
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  )
}
