// Runs before base.yaml is deployed on behalf of s.yaml: Serverless Devs hands over the account's ID, but not the name of its access.
const [account] = process.argv.slice(2);
if (process.env.ACCOUNT_ID && process.env.ACCOUNT_ID !== account) {
  console.error(`The function is for account ${process.env.ACCOUNT_ID}, roles and queue would go to account ${account}. With \`s deploy -a NAME\` put ACCESS=NAME into .env, too.`);
  process.exit(1);
}
