import { freePorts } from '../../infra/kafka.ts'
import { findKafka, type TestKafka } from '../harness/kafka.ts'
import { type ProxyOptions, startProxy } from './proxy.ts'

export interface ProxiedKafka {
  /** Past the proxy. */
  readonly brokers: readonly string[]
  /** Through the proxy: these brokers advertise the proxy's ports to whoever comes this way. */
  readonly proxied: readonly string[]
  /** From now on this is asked about each request; at first all pass. */
  ask(onRequest: ProxyOptions['onRequest']): void
  stop(): Promise<void>
}

export type FoundProxied =
  | { readonly kafka: ProxiedKafka; readonly skipped: undefined }
  | { readonly kafka: undefined; readonly skipped: string }

const HOST = '127.0.0.1'
const NODES = 3

/** Three brokers, each with a second listener behind a proxy. The second listener advertises the proxy's port, so nobody goes past it. */
export async function findProxiedKafka(): Promise<FoundProxied> {
  const brokerPorts = await freePorts(NODES)
  let onRequest: ProxyOptions['onRequest'] = () => 'pass'
  // Before the brokers: what they advertise must be taken.
  const proxy = await startProxy({ brokerPorts, onRequest: (request) => onRequest(request) })
  const found = await findKafka({
    nodes: NODES,
    own: true,
    settings: {
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT',
      // Members that were stopped are found dead soon.
      'group.min.session.timeout.ms': '1000',
    },
    nodeSettings: ({ id, port, controllerPort }) => {
      const [listenPort, brokerPort] = [proxy.ports[id - 1], brokerPorts[id - 1]]
      return {
        listeners: `PLAINTEXT://${HOST}:${port},PROXIED://${HOST}:${brokerPort},CONTROLLER://${HOST}:${controllerPort}`,
        'advertised.listeners': `PLAINTEXT://${HOST}:${port},PROXIED://${HOST}:${listenPort}`,
      }
    },
  })
  if (found.skipped !== undefined) {
    await proxy.close()
    return found
  }
  const kafka: TestKafka = found.kafka
  const proxied: ProxiedKafka = {
    brokers: kafka.brokers,
    proxied: proxy.ports.map((port) => `${HOST}:${port}`),
    ask(handler) {
      onRequest = handler
    },
    async stop() {
      await proxy.close()
      await kafka.stop()
    },
  }
  return { kafka: proxied, skipped: undefined }
}
