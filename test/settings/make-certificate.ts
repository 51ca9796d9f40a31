import { makeAuthority } from "../../sandbox/ovhcloud/certificates";

/** Prints the files that commands of the settings' page read. */
async function main(): Promise<void> {
    const authority = await makeAuthority("CN=an authority of this test");
    const { certificate, key } = await authority.issue("CN=chat.example.org", { names: ["chat.example.org"] });
    console.log(JSON.stringify({ "chain.pem": certificate, "key.pem": key }));
}

void main();
