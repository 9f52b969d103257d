// Stand-in for the component fc3: it deploys nothing, but asks for the credential, logs its properties and returns what the real
// one returns, so that a test sees what Serverless Devs prints and keeps of them.
const fs = require('fs');

exports.default = class {
  constructor({ logger }) {
    this.logger = logger;
  }

  async deploy(inputs) {
    const { logger } = this;
    logger.debug(`input props: ${JSON.stringify(inputs.props)}`);
    const credential = await inputs.getCredential();
    logger.debug(`credential: ${JSON.stringify(credential)}`);
    logger.write(`Function ${inputs.props.functionName} was changed:\n${JSON.stringify(inputs.props, null, 2)}`);
    fs.appendFileSync(process.env.DEPLOYED, `${JSON.stringify({ component: 'fc3', account: credential.AccountID, props: inputs.props })}\n`);
    const { region, functionName, environmentVariables } = inputs.props;
    return { region, functionName, environmentVariables };
  }

  async getSchema() {
    return '{"type": "object"}';
  }
};
