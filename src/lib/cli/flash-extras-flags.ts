import { Flags } from '@oclif/core';

const helpGroup = 'CARD';

/** The flags that say what is done to a drive besides writing an image and verifying it. */
export const flashExtrasFlags = {
  diff: Flags.boolean({
    summary: 'Read what the drive holds first, and write only what differs.',
    description:
      'Faster where the drive holds much of the image already, because cards read faster than they write; slower where ' +
      'it holds something else. What is found to be right counts as verified.',
    helpGroup,
  }),
  resume: Flags.boolean({
    default: true,
    allowNo: true,
    summary: 'Go on where an interrupted flash of the same image to the same drive stopped.',
    description: 'What is there already is read and compared, and written again where it is wrong.',
    helpGroup,
  }),
  probe: Flags.boolean({
    summary: 'Make sure first that the drive holds as much as it claims.',
    description:
      'Writes a few MB of patterns all over the drive and reads them back. Ends with exit code 5 on a drive that ' +
      'claims more than it has.',
    helpGroup,
  }),
  discard: Flags.boolean({
    summary: 'Tell the drive that it may forget what is not part of the image.',
    description: 'Done after writing and before verifying. Drives that do not support it are left as they are.',
    helpGroup,
  }),
  eject: Flags.boolean({ summary: 'Make the drive safe to pull when it is done.', helpGroup }),
};
