export const FIRST_NAMES = [
  ...[
    'Frodo',
    'Samwise',
    'Peregrin',
    'Meriadoc',
    'Rosie',
    'Éowyn',
    'Faramir',
    'Galadriel',
    'Arwen',
    'Bilbo',
    'Lúthien',
  ],
  ...[
    'Ada',
    'Grace',
    'Alan',
    'Margaret',
    'Katherine',
    'Dennis',
    'Barbara',
    'Edsger',
    'Hedy',
    'Linus',
    'Radia',
    'Guido',
  ],
  ...['Elizabeth', 'Fitzwilliam', 'Emma', 'Sherlock', 'Hermione', 'Arthur', 'Trillian', 'Ford', 'Zaphod', 'Atticus'],
  ...['Łukasz', 'Zofia', 'Jürgen', 'Søren', 'Björk', 'José', 'Inês', 'Chloé', 'Nguyễn', 'Mei', '晴', 'Ayşe', 'Olga'],
  ...[
    'Ishmael',
    'Leopold',
    'Dorothea',
    'Raskolnikov',
    'Anna',
    'Momo',
    'Pippi',
    'Emil',
    'Ronja',
    'Alice',
    'Tom',
    'Huck',
  ],
] as const

export const LAST_NAMES = [
  ...['Baggins', 'Gamgee', 'Took', 'Brandybuck', 'Cotton', 'Proudfoot', 'Bracegirdle', 'Oakenshield', 'Undómiel'],
  ...['Lovelace', 'Hopper', 'Turing', 'Hamilton', 'Johnson', 'Ritchie', 'Liskov', 'Dijkstra', 'Lamarr', 'Perlman'],
  ...[
    'Bennet',
    'Darcy',
    'Woodhouse',
    'Holmes',
    'Watson',
    'Granger',
    'Dent',
    'McMillan',
    'Prefect',
    'Beeblebrox',
    'Finch',
  ],
  ...[
    'Żółć',
    'Kowalska',
    'Müller',
    'Kierkegaard',
    "O'Brien",
    'García Márquez',
    'Ferreira',
    'Dubois',
    'Văn',
    'Chen',
    '田中',
  ],
  ...[
    'Bloom',
    'Brooke',
    'Karenina',
    'Longstocking',
    'Liddell',
    'Sawyer',
    'Finn',
    'Rabbit',
    'van der Berg',
    'Smith-Jones',
  ],
] as const

export const JOB_TITLES = [
  ...['Backend Engineer', 'Frontend Engineer', 'Data Engineer', 'Site Reliability Engineer', 'Engineering Manager'],
  ...['Product Manager', 'Product Designer', 'UX Researcher', 'Technical Writer', 'Security Analyst', 'QA Engineer'],
  ...['Account Executive', 'Sales Development Representative', 'Customer Success Manager', 'Solutions Architect'],
  ...['People Partner', 'Talent Sourcer', 'Office Manager', 'Controller', 'Payroll Specialist', 'Legal Counsel'],
  ...['Gardener', 'Ring Bearer', 'Lighthouse Keeper', 'Dragon Wrangler', 'Chief Potato Officer', 'Baker (early shift)'],
  ...[
    'Warehouse Associate',
    'Forklift Operator',
    'Nurse',
    'Physiotherapist',
    'Electrician',
    'Head of Second Breakfast',
  ],
] as const

export const DEPARTMENTS = [
  ...['Engineering', 'Product', 'Sales', 'People', 'Finance', 'Operations', 'Legal', 'Shire Affairs'],
] as const

export const LEVELS = ['Intern', 'Junior', 'Mid-Senior', 'Senior', 'Principal', 'Director'] as const

export const CITIES = [
  { city: 'Berlin', state: 'Berlin', country: 'DE', zip: '12435', street: 'Lohmühlenstraße 65' },
  { city: 'Kraków', state: 'Małopolska', country: 'PL', zip: '31-154', street: 'ulica Basztowa 3' },
  { city: 'Hobbiton', state: 'Westfarthing', country: 'NZ', zip: '3472', street: 'Bagshot Row 3' },
  { city: 'Lisboa', state: 'Lisboa', country: 'PT', zip: '1100-148', street: 'Rua Augusta 12' },
  { city: 'Edinburgh', state: 'Scotland', country: 'GB', zip: 'EH1 1YZ', street: 'Royal Mile 221' },
  { city: 'Zürich', state: 'ZH', country: 'CH', zip: '8001', street: 'Bahnhofstrasse 1' },
  { city: 'Oslo', state: 'Oslo', country: 'NO', zip: '0155', street: 'Karl Johans gate 7' },
  { city: 'New York', state: 'NY', country: 'US', zip: '10001', street: '350 5th Ave' },
] as const

export const EMPLOYERS = [
  ...['Green Dragon Inn', 'Gringotts', 'Babbage & Sons', 'Pemberley Estates', 'Milliways', 'Villa Villekulla GmbH'],
  ...['Acme, Inc.', 'Analytical Engines Ltd', 'Bletchley Park', 'Kowalski Sp. z o.o.', 'Cheshire Cat Consulting'],
] as const

export const SOURCES = [
  ...['Employee Referral', 'LinkedIn', 'Career Page', 'Job Fair', 'Agency', 'Palantír', 'Stepstone', 'Pracuj.pl'],
] as const

export const STAGES = [
  ...['Applied', 'Initial Screening', 'Phone Interview', 'Case Study', 'On-site Interview', 'Reference Check'],
  ...['Offer', 'Hired'],
] as const

export const TAGS = [
  ...['High Potential', 'Silver Medalist', 'Remote only', 'Speaks Elvish', 'Referral', 'Alumni', 'Follow up in autumn'],
  ...[
    'Relocation',
    'Second breakfast',
    'Diversity programme',
    'Night owl',
    'Do not contact',
    'TypeScript',
    'Kubernetes',
  ],
] as const

export const REJECTION_REASONS = [
  ...['Not enough experience', 'Salary expectations', 'Position filled', 'Failed case study', 'No show'],
  ...['Location', 'One does not simply walk into this role', 'Withdrew: accepted another offer'],
] as const

export const NOTES = [
  ...['Great conversation, would hire for attitude alone.', 'Asked about remote work from Hobbiton.'],
  ...['References are glowing.', 'Wants to start in spring.', 'Needs a second round with the team lead.'],
] as const

/** Roles of every company: label, scope, unified type. */
export const ROLES = [
  ['Site Admin', 'SYSTEM', 'ADMIN'],
  ['Recruiting Lead', 'SYSTEM', 'RECRUITER'],
  ['Basic User', 'SYSTEM', null],
  ['Recruiter', 'JOB', 'RECRUITER'],
  ['Hiring Manager', 'JOB', 'HIRING_MANAGER'],
  ['Coordinator', 'JOB', 'COORDINATOR'],
  ['Interviewer', 'JOB', 'INTERVIEWER'],
] as const
