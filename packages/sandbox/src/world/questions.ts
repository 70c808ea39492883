import type { Random } from '@tidemark/base'
import type { Company } from './company.ts'
import { base58Id } from './ids.ts'
import type { JsonObject, QuestionFields, Rec } from './types.ts'

const PLAIN = {
  description: null,
  category: null,
  required: false,
  precondition_question_id: null,
  precondition_options: null,
} as const

const options = (company: Company, question: string, names: readonly string[]): JsonObject[] =>
  names.map((name) => ({
    id: base58Id(`${company.integrationId}|option|${question}|${name}`),
    remote_id: name.toLowerCase(),
    name,
  }))

const LANGUAGES = ['TypeScript', 'Kotlin', 'Rust', 'Elvish']
const SHIFTS = ['Early', 'Late', 'Night']

/** The questions of a company's library: one of every format that Kombo knows. */
export const QUESTIONS: readonly ((company: Company) => QuestionFields)[] = [
  () => ({
    ...PLAIN,
    title: 'Why us?',
    format: { type: 'TEXT', display_type: 'MULTI_LINE', max_length: 2000 },
    required: true,
  }),
  () => ({
    ...PLAIN,
    title: 'Expected salary',
    format: { type: 'NUMBER', display_type: 'FIELD', min: 0, max: 200000 },
  }),
  () => ({
    ...PLAIN,
    title: 'Portfolio',
    format: { type: 'FILE', accepted_mime_types: ['application/pdf'], max_file_size_bytes: 5_000_000 },
  }),
  (company) => ({
    ...PLAIN,
    title: 'Which is your primary programming language',
    format: { type: 'SINGLE_SELECT', display_type: 'DROPDOWN', options: options(company, 'language', LANGUAGES) },
    required: true,
  }),
  (company) => ({
    ...PLAIN,
    title: 'Which shifts can you work?',
    format: { type: 'MULTI_SELECT', options: options(company, 'shift', SHIFTS) },
  }),
  () => ({ ...PLAIN, title: 'Do you have a work permit?', format: { type: 'BOOLEAN' }, required: true }),
  () => ({ ...PLAIN, title: 'Earliest start', format: { type: 'DATE' } }),
  () => ({
    ...PLAIN,
    title: 'About our process',
    description: '<p>We answer within three days.</p>',
    format: { type: 'INFORMATION' },
  }),
  () => ({ ...PLAIN, title: 'Signature', format: { type: 'UNKNOWN', raw_question: { widget: 'signature-pad' } } }),
  (company) => ({
    ...PLAIN,
    title: 'Gender',
    category: 'EEO',
    format: {
      type: 'SINGLE_SELECT',
      display_type: 'RADIO',
      options: options(company, 'gender', ['Female', 'Male', 'Other', 'Decline to answer']),
    },
  }),
]

/** Answers of an applicant to a job's questions. Files and information texts get none. */
export function answersFor(company: Company, random: Random, job: Rec<'jobs'>): JsonObject[] {
  const answers: JsonObject[] = []
  for (const id of job.links.questions ?? []) {
    const question = company.tables.screening_questions.get(id)
    const type = String(question?.fields.format?.['type'] ?? 'UNKNOWN')
    const answer = question && answerOf(type, question.fields, random)
    if (!answer) continue
    answers.push({ answer, question: { remote_id: question.remoteId, title: question.fields.title ?? '', type } })
  }
  return answers
}

function answerOf(type: string, fields: QuestionFields, random: Random): JsonObject | undefined {
  const names = ((fields.format?.['options'] ?? []) as { readonly name: string }[]).map((option) => option.name)
  switch (type) {
    case 'TEXT':
      return { content: random.pick(['I like hobbits.', 'Your code is beautiful.', 'A friend works here.']) }
    case 'NUMBER':
      return { number: 30_000 + 500 * random.int(100) }
    case 'SINGLE_SELECT':
      return { choice: names.length > 0 ? random.pick(names) : null }
    case 'MULTI_SELECT':
      return { choices: names.filter(() => random.chance(0.5)) }
    case 'BOOLEAN':
      return { checked: random.chance(0.8) }
    case 'DATE':
      return { date: new Date(Date.UTC(2026, random.int(12), 1)).toISOString() }
    case 'UNKNOWN':
      return { raw: { strokes: random.int(99) } }
    default:
      return undefined
  }
}
