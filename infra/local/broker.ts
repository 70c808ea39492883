import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Jvm, startJvm } from './jvm.ts'
import { run } from './resolve.ts'

const HOST = '127.0.0.1'
const READY = 'Kafka Server started'
const READY_MS = 180_000

/** One combined node (broker and controller) of a local cluster. */
export interface NodePlan {
  readonly id: number
  readonly port: number
  readonly controllerPort: number
  /** Holds its configuration and data. */
  readonly folder: string
}

export interface ClusterPlan {
  readonly nodes: readonly NodePlan[]
  readonly clusterId: string
  readonly java: string
  readonly jars: string
  /** Overrides of the broker configuration. */
  readonly settings: Readonly<Record<string, string>>
  /** Overrides of one node's. */
  nodeSettings(node: NodePlan): Readonly<Record<string, string>>
}

const addressOf = ({ port }: NodePlan): string => `${HOST}:${port}`
export const brokersOf = (plan: ClusterPlan): string[] => plan.nodes.map(addressOf)

/** Writes the node's configuration and, for a new folder, formats its storage. */
export async function prepareNode(plan: ClusterPlan, node: NodePlan): Promise<void> {
  mkdirSync(node.folder, { recursive: true })
  const file = join(node.folder, 'server.properties')
  const lines = Object.entries(properties(plan, node)).map(([name, value]) => `${name}=${value}`)
  writeFileSync(file, `${lines.join('\n')}\n`)
  if (existsSync(join(node.folder, 'log/meta.properties'))) return
  const tool = ['-cp', `${plan.jars}/*`, 'kafka.tools.StorageTool', 'format', '-t', plan.clusterId, '-c', file]
  await run(plan.java, ['-XX:TieredStopAtLevel=1', '-Xshare:auto', ...tool])
}

/** Starts a prepared node; resolves when it serves requests. */
export async function startNode(plan: ClusterPlan, node: NodePlan): Promise<Jvm> {
  const heap = plan.nodes.length === 1 ? '1g' : '512m'
  const logging = `-Dlog4j2.configurationFile=${join(import.meta.dirname, 'log4j2.properties')}`
  const file = join(node.folder, 'server.properties')
  const jvm = startJvm(
    plan.java,
    ['-Xms256m', `-Xmx${heap}`, '-XX:+UseG1GC', logging, '-cp', `${plan.jars}/*`, 'kafka.Kafka', file],
    node.folder,
  )
  try {
    await jvm.printed(READY, READY_MS)
  } catch (error) {
    await jvm.stop(0)
    throw error
  }
  return jvm
}

function properties(plan: ClusterPlan, node: NodePlan): Record<string, string> {
  const voters = plan.nodes.map(({ id, controllerPort }) => `${id}@${HOST}:${controllerPort}`).join(',')
  const replicas = String(Math.min(3, plan.nodes.length))
  const isr = plan.nodes.length >= 3 ? '2' : '1'
  return {
    'process.roles': 'broker,controller',
    'node.id': String(node.id),
    listeners: `PLAINTEXT://${addressOf(node)},CONTROLLER://${HOST}:${node.controllerPort}`,
    'advertised.listeners': `PLAINTEXT://${addressOf(node)}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.quorum.voters': voters,
    'log.dirs': join(node.folder, 'log'),
    'default.replication.factor': replicas,
    'min.insync.replicas': isr,
    'offsets.topic.replication.factor': replicas,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': isr,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': isr,
    // Few partitions of internal topics: they are created with the first group and transaction, and it is waited for.
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.num.partitions': '4',
    'group.initial.rebalance.delay.ms': '0',
    'auto.create.topics.enable': 'false',
    // A dead node's partitions get another leader after this long; a restarted one is let in after it, too. Broker default: 9 s.
    'broker.session.timeout.ms': '4000',
    'broker.heartbeat.interval.ms': '500',
    // A position of a group that rests must not be forgotten: a year instead of a week.
    'offsets.retention.minutes': '525600',
    ...plan.settings,
    ...plan.nodeSettings(node),
  }
}
