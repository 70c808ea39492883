/** Headers of a file that somebody else uploaded, so that no browser takes it for a page of ours. */
import type { AttachmentContent } from '@tidemark/connector'

/** What browsers run, or may find something to run in. */
const ACTIVE = /html|xml|svg|script|ecma|flash|xsl|multipart|x-mixed|message/i
const MEDIA_TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/

/** A file is saved, never shown. */
export function contentHeaders({ fileName, contentType, bytes }: AttachmentContent): Record<string, string> {
  return {
    'content-type': safeType(contentType),
    'content-length': String(bytes.byteLength),
    'content-disposition': disposition(fileName),
    'x-content-type-options': 'nosniff',
    'content-security-policy': "sandbox; default-src 'none'",
    'cache-control': 'private, no-store',
  }
}

/** The provider's type without its parameters; of anything active, and of what is no type, that of mere bytes. */
export function safeType(contentType: string): string {
  const type = (contentType.split(';')[0] ?? '').trim().toLowerCase()
  return MEDIA_TYPE.test(type) && !ACTIVE.test(type) ? type : 'application/octet-stream'
}

/** With the name in ASCII, and as it is for clients that know RFC 6266. No path, no control character, at most 150 characters. */
export function disposition(fileName: string): string {
  const plain = fileName
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}]/gu, '')
    .replace(/[/\\:*?"<>|]/g, '_')
    .trim()
  const name = [...plain].slice(-150).join('') || 'attachment'
  const ascii = name.replace(/[^\x20-\x7e]|%/g, '_')
  const encoded = encodeURIComponent(name).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`
}
