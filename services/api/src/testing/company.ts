/** For the API's tests: a small company with every kind of record. */
import type { ModelName, RecordInput } from '@tidemark/model'
import type { ChangeMaker, MadeChange } from '@tidemark/projection/testing'

export const ACME = 'traffit:acme'

export interface Company {
  readonly changes: readonly MadeChange[]
  id(model: ModelName, remote: string): string
}

const TIME = Date.parse('2025-06-01T10:00:00.000Z')

export function makeCompany(maker: ChangeMaker, integration = ACME): Company {
  const changes: MadeChange[] = []
  const id = (model: ModelName, remote: string): string => maker.idOf(integration, model, remote)
  const add = (model: ModelName, remote: string, input: RecordInput): void => {
    changes.push(maker.make(integration, model, remote, input))
  }
  addProcess(add, id)
  addJob(add, id)
  addPeople(add, id)
  return { changes, id }
}

type Add = (model: ModelName, remote: string, input: RecordInput) => void
type Id = (model: ModelName, remote: string) => string

function addProcess(add: Add, id: Id): void {
  add('application-stages', 's1', { name: 'Screening', status: 'ACTIVE', global_index: 7 })
  add('application-stages', 's2', { name: 'Interview', status: 'PAUSED', custom_fields: { color: 'red' } })
  add('roles', 'r1', { remote_label: 'Recruiter', scope: 'JOB', unified_type: 'RECRUITER' })
  add('roles', 'r2', { remote_label: 'Boss', scope: 'GALAXY', unified_type: 'OVERLORD' })
  add('users', 'u1', { first_name: 'Elrond', email: 'elrond@rivendell.me', status: 'ACTIVE' })
  add('users', 'u2', { first_name: 'Gandalf', email: 'no address', status: 'ON_LEAVE' })
  add('user-roles', 'u1:r2', { user_id: id('users', 'u1'), role_remote_id: 'r2' })
  add('rejection-reasons', 'rr1', { name: 'Too tall' })
  add('tags', 't1', { name: 'Ring bearer' })
  add('tags', 't2', { name: 'Hobbit' })
}

function addJob(add: Add, id: Id): void {
  const job = { job_id: id('jobs', 'j1') }
  add('jobs', 'j1', {
    name: 'Backend Engineer',
    job_code: 'BE-1',
    status: 'OPEN',
    visibility: 'SECRET_OF_THE_ATS',
    weekly_hours: 37.5,
    salary_amount: 4200,
    location: { city: 'Hobbiton', country: 'SH' },
    custom_fields: { level: { from: 1 } },
    opened_at: TIME,
    remote_created_at: TIME,
    remote_data: { secret: true },
  })
  add('jobs', 'j2', { name: 'Cook', status: 'CLOSED', remote_created_at: TIME + 86_400_000 })
  add('job-stages', 'j1:s2', { ...job, stage_id: id('application-stages', 's2'), index: 1 })
  add('job-stages', 'j1:s1', { ...job, stage_id: id('application-stages', 's1'), index: 0 })
  add('job-postings', 'j1:p1', { ...job, title: 'Join us', status: 'ACTIVE', visibility: 'WHISPERED' })
  add('job-hiring-team', 'j1:u1', { ...job, user_id: id('users', 'u1'), hiring_team_roles: ['RECRUITER', 'WIZARD'] })
  add('job-role-assignments', 'j1:u1:r1', { ...job, user_id: id('users', 'u1'), role_remote_id: 'r1' })
  add('job-role-assignments', 'j1:u1:x', { ...job, user_id: id('users', 'u1'), role_label: 'Scribe' })
  const format = { type: 'SINGLE_SELECT', display_type: 'RADIO', options: [{ id: 'o1', name: 'Yes', index: 0 }] }
  add('screening-questions', 'q1', { title: 'Can you cook?', format, category: 'EEO' })
  add('screening-questions', 'q2', { title: 'How old?', format: { type: 'NUMBER' }, category: 'RUMOUR' })
  add('screening-questions', 'q3', { title: 'Odd', format: { type: 'RIDDLE', raw_question: { a: 1 } } })
  const asked = { ...job, required: true }
  add('job-screening-questions', 'j1:q1', { ...asked, question_id: id('screening-questions', 'q1'), index: 1 })
  add('job-screening-questions', 'j1:q2', {
    ...asked,
    question_id: id('screening-questions', 'q2'),
    index: 0,
    precondition_question_id: id('screening-questions', 'q1'),
    precondition_options: ['true', 'false'],
  })
  add('job-screening-questions', 'j1:q3', { ...asked, question_id: id('screening-questions', 'q3') })
}

function addPeople(add: Add, id: Id): void {
  add('candidates', 'c1', {
    first_name: 'Frodo',
    last_name: 'Baggins',
    email_addresses: [
      { email_address: 'Frodo@Shire.me', type: 'HOME' },
      { email_address: 'not an address', type: null },
    ],
    phone_numbers: [
      { phone_number: '+1', type: null },
      { phone_number: null, type: 'FAX' },
    ],
    source: 'Gandalf',
  })
  add('candidates', 'c2', { first_name: 'Sam' })
  add('candidate-tags', 'c1:t1', { candidate_id: id('candidates', 'c1'), tag_id: id('tags', 't1') })
  add('candidate-tags', 'c1:t2', { candidate_id: id('candidates', 'c1'), tag_id: id('tags', 't2') })
  add('applications', 'a1', {
    outcome: 'PENDING',
    candidate_id: id('candidates', 'c1'),
    job_id: id('jobs', 'j1'),
    current_stage_id: id('application-stages', 's2'),
    remote_created_at: TIME,
    screening_question_answers: [
      {
        question_remote_id: 'q1',
        question_title: 'Can you cook?',
        question_type: 'SINGLE_SELECT',
        answer: { choice: 'Yes' },
      },
      { question_remote_id: 'q2', question_title: 'Born?', question_type: 'DATE', answer: { date: '2024-09-22' } },
      { question_remote_id: 'q3', question_title: null, question_type: 'RIDDLE', answer: { pocket: 'ring' } },
    ],
  })
  add('applications', 'a2', { outcome: 'ON_A_QUEST', candidate_id: id('candidates', 'c2'), job_id: id('jobs', 'gone') })
  const application = { application_id: id('applications', 'a1') }
  add('interviews', 'i1', {
    ...application,
    title: 'Council',
    starting_at: TIME,
    canceled: false,
    remote_updated_at: TIME,
  })
  add('interview-users', 'i1:u1', { interview_id: id('interviews', 'i1'), user_id: id('users', 'u1') })
  add('interview-users', 'i1:u2', { interview_id: id('interviews', 'i1'), user_id: id('users', 'u2') })
  add('offers', 'o1', { ...application, status: 'SENT', employment_start_date: TIME })
  add('offers', 'o2', { application_id: id('applications', 'a2'), status: 'FORGED' })
  add('notes', 'n1', {
    candidate_id: id('candidates', 'c1'),
    author_id: id('users', 'u1'),
    title: 'Brave',
    is_private: true,
  })
}
