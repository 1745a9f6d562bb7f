"""What ``import axengine`` finds in a process that a script on the stand-in has started."""

from axsim.axengine.child_processes import take_over

take_over()
