import { Failure } from '../failure/failure.js';

/** What a Dockerfile template can ask for; a value is undefined when it is not known of this device. */
export interface TemplateValues {
  readonly deviceType: string | undefined;
  readonly architecture: string | undefined;
  readonly service: string;
  readonly commit: string;
  readonly appName: string;
}

/**
 * Fills the `%%BALENA_…%%` variables of a Dockerfile, line for line, so that line numbers stay what they were. Comment
 * lines are left alone, as balena's builders leave them.
 *
 * @param file the file's name, for failures
 */
export function fillTemplate(template: string, values: TemplateValues, file: string): string {
  const variables: Readonly<Record<string, string | undefined>> = {
    BALENA_MACHINE_NAME: values.deviceType,
    BALENA_ARCH: values.architecture,
    BALENA_SERVICE_NAME: values.service,
    BALENA_RELEASE_HASH: values.commit,
    BALENA_APP_NAME: values.appName,
    RESIN_MACHINE_NAME: values.deviceType,
    RESIN_ARCH: values.architecture,
  };
  const fillLine = (line: string, index: number) =>
    line.trimStart().startsWith('#')
      ? line
      : line.replace(/%%([^%\s]+)%%/g, (_, name: string) => {
          const where = `line ${index + 1} of ${file}`;
          if (!Object.hasOwn(variables, name)) {
            throw new Failure(
              'refused',
              'template-variable-unknown',
              `${where} asks for %%${name}%%, which nothing sets`,
              {
                hint: `A template can use ${Object.keys(variables).join(', ')}`,
              },
            );
          }
          const value = variables[name];
          if (value !== undefined) return value;
          throw new Failure(
            'refused',
            'device-type-unknown',
            `${where} asks for %%${name}%%, which the device does not tell`,
            {
              hint: 'Say it with --device-type, for example --device-type raspberrypi4-64',
            },
          );
        });
  return template.split('\n').map(fillLine).join('\n');
}
