// The deployed entry: it leaves the policy where the Wasm modules find it, and exports what the platform
// calls. driver/ has the rest.

import policy from "./build/policy.json";
import { wrapped } from "./driver/house.mjs";
import { answer } from "./driver/road.mjs";

// Read by each module on first use, and again by the fresh instance after a panic.
globalThis.__tollgate_policy = JSON.stringify(policy);

export class KeyObject extends wrapped("KeyObject") {}
export class TenantObject extends wrapped("TenantObject") {}
export class EndpointObject extends wrapped("EndpointObject") {}
export class CounterObject extends wrapped("CounterObject") {}
export class InboxObject extends wrapped("InboxObject") {}

export default { fetch: answer };
