// Stand-in for the component ros: it logs its inputs and the credential as the real one does at level debug, and makes no stack.
const fs = require('fs');

exports.default = class {
  constructor({ logger }) {
    this.logger = logger;
  }

  async deploy(inputs) {
    this.logger.debug(`deploy ==> input: ${JSON.stringify(inputs)}`);
    const credential = await inputs.getCredential();
    this.logger.debug(`getCredential ==> ${JSON.stringify(credential)}`);
    fs.readFileSync(inputs.props.template); // from the working directory
    fs.appendFileSync(process.env.DEPLOYED, `${JSON.stringify({ component: 'ros', account: credential.AccountID, props: inputs.props })}\n`);
    return { stackId: 'stack' };
  }
};
