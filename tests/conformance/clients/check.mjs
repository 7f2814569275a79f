// The vendors' own clients against a conformance server: prints what each call gave as one
// JSON object. What the answers must be stands in test_conformance_servers.py.
//
//	node check.mjs vault|doppler|infisical ENDPOINT CREDENTIALS-AS-JSON
import { createRequire } from "module";

const [kind, endpoint, given] = process.argv.slice(2);
const credentials = JSON.parse(given);
const load = createRequire(process.env.CLIENTS + "/");
const results = {};

async function call(name, work) {
	try {
		results[name] = await work();
	} catch (error) {
		const answer = error.response || {};
		results[name] = {
			failed: String(error.message || error).slice(0, 300),
			status: answer.statusCode ?? answer.status ?? error.statusCode ?? error.metadata?.statusCode ?? null,
		};
	}
}

async function vault() {
	const open = (options) => load("node-vault")({ apiVersion: "v1", endpoint, ...options });
	const client = open({ token: credentials.token });
	await call("read", async () => (await client.read("kv/data/shop/production")).data);
	await call("version", async () => (await client.read("kv/data/shop/production?version=1")).data);
	await call("subkeys", async () => (await client.read("kv/subkeys/shop/production")).data);
	await call("list", async () => (await client.list("kv/metadata/shop")).data);
	await call("metadata", async () => (await client.read("kv/metadata/shop/production")).data);
	await call("missing", async () => await client.read("kv/data/shop/nowhere"));
	await call("denied", async () => await client.read("kv/data/other/secret"));
	await call("expired", async () => await open({ token: credentials.expired }).read("kv/data/shop/production"));
	await call("tokenless", async () => await open({ token: "" }).read("kv/data/shop/production"));
	const role = open({});
	await call("login", async () => {
		const answer = await role.approleLogin({ role_id: credentials.role_id, secret_id: credentials.secret_id });
		return { renewable: answer.auth.renewable, lease: answer.auth.lease_duration };
	});
	await call("after_login", async () => (await role.read("kv/data/shop/production")).data.data);
	await call("wrong_login", async () => await open({}).approleLogin({ role_id: credentials.role_id, secret_id: "no" }));
}

async function doppler() {
	const { DopplerSDK } = load("@dopplerhq/node-sdk");
	const open = (token) => {
		const client = new DopplerSDK({ accessToken: token });
		client.setBaseUrl(endpoint);
		return client;
	};
	const client = open(credentials.token);
	await call("names", async () => await client.secrets.names("shop", "prd", { includeDynamicSecrets: false }));
	await call("list", async () => await client.secrets.list("shop", "prd"));
	await call("download", async () => await client.secrets.download("shop", "prd", { format: "json" }));
	await call("missing", async () => await client.secrets.names("shop", "nowhere"));
	await call("denied", async () => await client.secrets.names("shop", "stg"));
	await call("revoked", async () => await open(credentials.revoked).secrets.names("shop", "prd"));
}

async function infisical() {
	const { InfisicalSDK } = load("@infisical/sdk");
	const open = () => new InfisicalSDK({ siteUrl: endpoint });
	const client = open();
	const at = { projectId: "p", environment: "production" };
	await call("login", async () => {
		await client.auth().universalAuth.login({ clientId: credentials.id, clientSecret: credentials.secret });
		return true;
	});
	await call("list", async () => await client.secrets().listSecrets(at));
	await call("recursive", async () => await client.secrets().listSecrets({ ...at, recursive: true }));
	await call("imports", async () => await client.secrets().listSecretsWithImports(at));
	await call("hidden", async () => await client.secrets().listSecrets({ ...at, viewSecretValue: false }));
	await call("missing", async () => await client.secrets().listSecrets({ ...at, secretPath: "/nowhere" }));
	await call("denied", async () => await client.secrets().listSecrets({ projectId: "q", environment: "production" }));
	await call("wrong_login", async () => await open().auth().universalAuth.login({ clientId: credentials.id, clientSecret: "no" }));
}

await { vault, doppler, infisical }[kind]();
console.log(JSON.stringify(results));
