/** Files of candidates: few, small, and always the same for the same candidate. */
import { slug } from './profile.ts'
import type { Rec } from './types.ts'

export interface CandidateFile {
  /** In the ATS; a number, as text. */
  readonly remoteId: string
  readonly type: 'CV' | 'COVER_LETTER' | 'OTHER'
  readonly name: string
  readonly contentType: string
  /** ASCII. */
  readonly content: string
  readonly createdMs: number
}

/** A CV for everybody, a letter for every second and a certificate for every fifth; nothing for whom nothing is known of any more. */
export function filesOf(candidate: Rec<'candidates'>): readonly CandidateFile[] {
  const { first_name: first, last_name: last } = candidate.fields
  if (first === null && last === null) return []
  const number = Number(candidate.remoteId)
  const name = slug(`${first ?? ''} ${last ?? ''}`)
  const file = (
    index: number,
    own: Pick<CandidateFile, 'type' | 'name' | 'contentType' | 'content'>,
  ): CandidateFile => ({
    ...{ remoteId: String(number * 10 + index), createdMs: candidate.createdMs },
    ...own,
  })
  const pdf = { contentType: 'application/pdf' } as const
  return [
    file(1, { type: 'CV', name: `cv-${name}.pdf`, ...pdf, content: pdfOf(`Curriculum vitae of ${name}`) }),
    ...(number % 2 === 0
      ? [
          file(2, {
            type: 'COVER_LETTER',
            name: 'cover-letter.txt',
            contentType: 'text/plain',
            content: letterOf(name),
          }),
        ]
      : []),
    ...(number % 5 === 0
      ? [file(3, { type: 'OTHER', name: 'certificate.pdf', ...pdf, content: pdfOf(`Certificate of ${name}`) })]
      : []),
  ]
}

const letterOf = (name: string): string => `Dear team,\n\nI would like to work with you.\n\n${name}\n`

/** One page with one line, which viewers open. */
function pdfOf(line: string): string {
  const text = `BT /F1 18 Tf 72 720 Td (${line}) Tj ET`
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>',
    `<< /Length ${text.length} >>\nstream\n${text}\nendstream`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
  ]
  let body = '%PDF-1.4\n'
  const offsets = objects.map((object, index) => {
    const offset = body.length
    body += `${index + 1} 0 obj\n${object}\nendobj\n`
    return `${String(offset).padStart(10, '0')} 00000 n \n`
  })
  const size = objects.length + 1
  const table = `xref\n0 ${size}\n0000000000 65535 f \n${offsets.join('')}`
  return `${body}${table}trailer\n<< /Size ${size} /Root 1 0 R >>\nstartxref\n${body.length}\n%%EOF\n`
}
