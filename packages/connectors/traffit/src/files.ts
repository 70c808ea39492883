/** What the name of a file says of it: TRAFFIT tells nothing else. */
import type { AttachmentType } from '@tidemark/connector'

const LETTER = /cover|motivation|anschreiben|begleitschreiben|motywacyjn/i
const CV = /(^|[^a-z])(cv|vitae|r[eé]sum[eé]|lebenslauf|[zż]yciorys)([^a-z]|$)/i

/** The type of a file, by words in its name (inferred). */
export function typeOf(fileName: string): AttachmentType {
  // Letters first: "cover letter to my CV.pdf".
  if (LETTER.test(fileName)) return 'COVER_LETTER'
  return CV.test(fileName) ? 'CV' : 'OTHER'
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  pdf: 'application/pdf',
  doc: 'application/msword',
  docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  odt: 'application/vnd.oasis.opendocument.text',
  rtf: 'application/rtf',
  txt: 'text/plain',
  html: 'text/html',
  htm: 'text/html',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  png: 'image/png',
}

/** The MIME type of the most usual endings. */
export function contentTypeOf(fileName: string): string {
  const ending = fileName.split('.').at(-1)?.toLowerCase() ?? ''
  const known = Object.hasOwn(CONTENT_TYPES, ending) ? CONTENT_TYPES[ending] : undefined
  return known ?? UNKNOWN_CONTENT
}

export const UNKNOWN_CONTENT = 'application/octet-stream'
